"""Auxiliary readouts that shape the features of a model trained from scratch.

The paper starts from a pretrained MLLM and UNet; the bundled model starts from random weights. Two linear
readouts, discarded after training, speed this up: one reads each region's content from the semantic
guidance, the other reads the picture's content from the MLLM's visual tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import Linear, functional

from ..world.scene import BACKGROUNDS, COLORS, PICTURE_SIZE, SHAPES, Scene, Thing

SLOTS = 8
"""Regions that the readout distinguishes: the 64 image tokens are divided evenly among the first boxes."""

LINES = PICTURE_SIZE
"""Edges lie between pixels, on lines 0 to 128 in each direction."""

COLOR_NAMES = tuple(COLORS)
BACKGROUND_NAMES = tuple(BACKGROUNDS)
NO_COLOR, ABSENT_COLOR = len(COLOR_NAMES), len(COLOR_NAMES) + 1
NO_SHAPE, ABSENT_SHAPE = len(SHAPES), len(SHAPES) + 1
NOWHERE = torch.tensor([ABSENT_COLOR, ABSENT_SHAPE, 0.0, 0.0, 0.0, 0.0, 0.0])
"""The target where there is nothing to read."""


class ContentReadout(nn.Module):
    """Linear heads on features [..., width]: colour, shape, box and background of what they represent.

    Targets are one tensor [..., 7]: colour class, shape class, background class, then x1, y1, x2, y2 in 0..1.
    Classes beyond the names mean "nothing there" and "no such region".
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.color = Linear(width, len(COLOR_NAMES) + 2)
        self.shape = Linear(width, len(SHAPES) + 2)
        self.background = Linear(width, len(BACKGROUND_NAMES))
        self.box = Linear(width, 4)

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """The sum of the heads' mean losses: cross-entropy for classes, four times L1 for boxes."""
        features, targets = features.flatten(0, -2), targets.flatten(0, -2)
        classes = targets[:, :3].long()
        present = classes[:, 1] != ABSENT_SHAPE
        box_distance = (self.box(features) - targets[:, 3:]).abs().mean(dim=1)
        return (
            functional.cross_entropy(self.color(features), classes[:, 0])
            + functional.cross_entropy(self.shape(features), classes[:, 1])
            + functional.cross_entropy(self.background(features), classes[:, 2])
            + 4.0 * (box_distance * present).sum() / present.sum().clamp(min=1)
        )


class PlaceReadout(nn.Module):
    """A linear head on features [..., width]: the line of each edge of the thing at that position.

    Targets as in ``ContentReadout``; with boxes relative to the picture's corner, or to that of the token
    itself. Classes, unlike distances, resemble the digits that a chain needs, and require the exact line.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.edges = Linear(width, 4 * (2 * LINES + 1))

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy over the edges of things; 0 where there is none."""
        features, targets = features.flatten(0, -2), targets.flatten(0, -2)
        present = targets[:, 1] != ABSENT_SHAPE
        lines = (targets[present][:, 3:] * LINES).round().long() + LINES
        logits = self.edges(features[present]).unflatten(-1, (4, -1))
        losses = functional.cross_entropy(logits.flatten(0, 1).float(), lines.flatten(), reduction="sum")
        return losses / lines.numel() if len(lines) else losses


class PositionReadout(nn.Module):
    """A linear head on the features of visual tokens: the row and the column of each in its picture.

    A picture's tokens are told apart by rotary positions alone, which say how far two tokens are from each
    other and not where they are.
    """

    def __init__(self, width: int, tokens_per_side: int) -> None:
        super().__init__()
        self.side = tokens_per_side
        self.place = Linear(width, 2 * tokens_per_side)

    def forward(self, features: Tensor) -> Tensor:
        """Mean cross-entropy of rows and columns; ``features`` [b, visual tokens, width]."""
        logits = self.place(features).unflatten(-1, (2, self.side)).float()  # [b, tokens, 2, side]
        number = torch.arange(self.side**2, device=features.device)
        places = torch.stack([number // self.side, number % self.side], dim=-1)  # [tokens, 2]
        return functional.cross_entropy(logits.flatten(0, 2), places.repeat(len(features), 1).flatten())


def region_targets(
    contents: tuple[tuple[str, str] | None, ...],
    boxes: list[tuple[float, float, float, float]],
    background: str,
) -> Tensor:
    """Targets [8, 7] of one chain's first eight regions. ``boxes`` in 0..1."""
    back = float(BACKGROUND_NAMES.index(background))
    targets = NOWHERE.repeat(SLOTS, 1)
    targets[:, 2] = back
    for slot, (content, box) in enumerate(zip(contents[:SLOTS], boxes[:SLOTS], strict=True)):
        color, shape = (NO_COLOR, NO_SHAPE) if content is None else pair_classes(content)
        targets[slot] = torch.tensor([color, shape, back, *box])
    return targets


def place_target(thing: Thing) -> Tensor:
    """The target [7] of a thing, without a background."""
    return torch.tensor([*pair_classes(thing.pair), 0.0, *(edge / PICTURE_SIZE for edge in thing.pixel_box)])


def visual_targets(scene: Scene, tokens_per_side: int) -> Tensor:
    """Targets [tokens_per_side squared, 7]: for each visual token the thing covering most of its square."""
    side = PICTURE_SIZE / tokens_per_side
    targets = NOWHERE.repeat(tokens_per_side**2, 1)
    targets[:, 0], targets[:, 2] = NO_COLOR, float(BACKGROUND_NAMES.index(scene.background))
    covered = torch.full((tokens_per_side**2,), 0.25 * side * side)
    corners = torch.arange(tokens_per_side) * side
    for thing in scene.things:
        left, top, right, bottom = thing.pixel_box
        width = ((corners + side).clamp(max=right) - corners.clamp(min=left)).clamp(min=0)
        height = ((corners + side).clamp(max=bottom) - corners.clamp(min=top)).clamp(min=0)
        area = (height[:, None] * width[None]).flatten()
        most = area >= covered
        covered = torch.where(most, area, covered)
        target = place_target(thing)
        targets[most, :2], targets[most, 3:] = target[:2], target[3:]
    return targets


def pair_classes(pair: tuple[str, str]) -> tuple[int, int]:
    """The classes of a colour and a shape."""
    return COLOR_NAMES.index(pair[0]), SHAPES.index(pair[1])
