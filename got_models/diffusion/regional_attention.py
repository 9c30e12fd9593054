"""Regional attention: in one pass of a UNet, each region of a picture attends to its own words.

Every cross-attention layer is computed for the base prompt as usual, and for each region with that region's
words, but only for the pixels of its box. The results are summed per pixel, weighted by how much it belongs
to each region. The rest of the UNet runs once, so that a step costs little more than a plain one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..chain.region import GRID, Box
from ..errors import GoTError

CONDITIONAL = 0
"""How ComfyUI marks, in `cond_or_uncond`, the rows of a batch that follow the positive prompt."""

CrossAttention = Callable[[Tensor, Tensor], Tensor]
"""A layer: what pixels [rows, pixels, channels] hear in words [rows, tokens, width], shaped as the pixels."""


def region_weights(
    boxes: Sequence[Box], strengths: Sequence[float], size: tuple[int, int], base: float, feather: float
) -> Tensor:
    """Each pixel's weight for the base prompt and for each region: [1 + regions, h, w], summing to 1.

    Outside all boxes the base prompt is alone. Inside, it keeps the share `base`, and the regions there share
    the rest by their strengths, so that no pixel is without words. Where no region's strength reaches 1, they
    leave the base prompt more.

    Args:
        strengths: of each region, from 0.
        size: (h, w) of the feature map.
        base: from 0 to 1.
        feather: width of the boxes' soft edges, as a share of the map's shorter side; at least one pixel. The
            picture's own edges stay hard.
    """
    height, width = size
    soft = feather * min(height, width)
    covers = torch.stack(
        [
            _profile(box.y1, box.y2, height, soft)[:, None] * _profile(box.x1, box.x2, width, soft)[None, :]
            for box in boxes
        ]
    )
    wanted = covers * torch.tensor(strengths, dtype=torch.float32)[:, None, None]
    given = (1.0 - base) * wanted.clamp(max=covers).amax(dim=0)
    total = wanted.sum(dim=0)
    shares = torch.where(total > 0, wanted / total.clamp(min=1e-30), 0.0) * given
    return torch.cat([1.0 - shares.sum(dim=0, keepdim=True), shares])


def _profile(low: int, high: int, length: int, soft: float) -> Tensor:
    """A box along an axis of `length` pixels: 1 inside, 0 outside, with an edge of `soft` pixels."""
    centers, soft = torch.arange(length) + 0.5, max(soft, 1.0)
    start, end = low / GRID * length, high / GRID * length
    missing = max(0.0, 1.0 - (end - start)) / 2  # a box narrower than a pixel counts as one pixel
    start = start - missing if low > 0 else -math.inf
    end = end + missing if high < GRID - 1 else math.inf
    return torch.minimum(centers - start, end - centers).div(soft).add(0.5).clamp(0.0, 1.0)


@dataclass(frozen=True)
class Place:
    """Where a region is on a feature map: its rows and columns, and its weight there [rows, columns, 1]."""

    region: int
    rows: slice
    columns: slice
    weight: Tensor

    @property
    def pixels(self) -> int:
        return self.weight.numel()


@dataclass(frozen=True)
class Group:
    """Regions of about the same size, computed in one batch.

    `words` [regions, tokens, width]; `pixels` [regions, most pixels]: each region's pixels on the flat map,
    filled up with its first where it has fewer than the largest of the group.
    """

    places: Sequence[Place]
    words: Tensor
    pixels: Tensor


class RegionalAttention:
    """Regional prompts for the cross-attention of one UNet.

    Args:
        contexts: what the UNet hears in each region: its encoded words [1, tokens, width].
        boxes: where the regions are.
        strengths, base, feather: as in `region_weights`.
    """

    def __init__(
        self,
        contexts: Sequence[Tensor],
        boxes: Sequence[Box],
        strengths: Sequence[float],
        base: float,
        feather: float,
    ) -> None:
        longest = math.lcm(*(context.shape[1] for context in contexts))
        self.contexts = torch.cat([_repeated(context, longest) for context in contexts])
        self.boxes = boxes
        self.strengths = strengths
        self.base = base
        self.feather = feather
        self._layouts: dict[Any, tuple[Tensor, list[Group]]] = {}

    def blend(
        self, attended: Tensor, pixels: Tensor, attention: CrossAttention, options: Mapping[str, Any]
    ) -> Tensor:
        """The result of a cross-attention layer, with the regions blended into its positive rows.

        Args:
            attended: the layer's result without regions.
            pixels: what the layer was given [rows, pixels, channels].
            attention: the layer.
            options: ComfyUI's, with `cond_or_uncond` and `activations_shape`.

        Raises:
            GoTError: the pixels are not those of the feature map.
        """
        height, width = options["activations_shape"][2:4]
        if height * width != pixels.shape[1]:
            raise GoTError(
                f"Regional prompts need all {height} x {width} points of the picture, but cross-attention "
                f"gets {pixels.shape[1]}: another patch of the model leaves some out. Remove HyperTile, "
                "token merging or the like."
            )
        kinds: Sequence[int] = options["cond_or_uncond"]
        base, groups = self._layout(height, width, pixels)
        blended = list(attended.chunk(len(kinds)))
        for index, rows in enumerate(pixels.chunk(len(kinds))):
            if kinds[index] == CONDITIONAL:
                alone = blended[index].unflatten(1, (height, width))
                blended[index] = _with_regions(base * alone, rows, groups, attention)
        return torch.cat(blended)

    def _layout(self, height: int, width: int, pixels: Tensor) -> tuple[Tensor, list[Group]]:
        """The base prompt's weight [height, width, 1], and the regions, as `pixels` are stored."""
        key = height, width, pixels.device, pixels.dtype
        if key not in self._layouts:
            base, *weights = region_weights(
                self.boxes, self.strengths, (height, width), self.base, self.feather
            ).to(pixels)
            numbers = torch.arange(height * width, device=pixels.device).view(height, width)
            places = [_place(region, weight) for region, weight in enumerate(weights) if weight.any()]
            groups = [
                _group(some, self.contexts.to(pixels), numbers) for some in _grouped(places, height * width)
            ]
            self._layouts[key] = base.unsqueeze(-1), groups
        return self._layouts[key]


def _with_regions(
    blended: Tensor, rows: Tensor, groups: Sequence[Group], attention: CrossAttention
) -> Tensor:
    """Adds each region's share to that of the base prompt [rows, height, width, channels]; flat again."""
    for group in groups:
        queries = rows[:, group.pixels].flatten(0, 1)
        attended = attention(queries, group.words.repeat(len(rows), 1, 1)).unflatten(0, (len(rows), -1))
        for index, place in enumerate(group.places):
            share = attended[:, index, : place.pixels].unflatten(1, place.weight.shape[:2])
            blended[:, place.rows, place.columns].addcmul_(share, place.weight)
    return blended.flatten(1, 2)


def _place(region: int, weight: Tensor) -> Place:
    """The smallest rectangle that holds all of a region's weight [height, width]."""
    rows, columns = (_range(weight.amax(dim=axis)) for axis in (1, 0))
    return Place(region, rows, columns, weight[rows, columns].unsqueeze(-1))


def _range(weights: Tensor) -> slice:
    """From the first to the last that is not zero."""
    (there,) = weights.nonzero(as_tuple=True)
    return slice(int(there[0]), int(there[-1]) + 1)


def _grouped(places: Sequence[Place], most: int) -> Iterator[list[Place]]:
    """Places of a similar size; a group of several has at most `most` pixels, all as large as the largest."""
    group: list[Place] = []
    for place in sorted(places, key=lambda place: place.pixels):
        if group and (place.pixels > 4 * group[0].pixels or place.pixels * (len(group) + 1) > most):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _group(places: Sequence[Place], contexts: Tensor, numbers: Tensor) -> Group:
    """One batch of regions.

    Args:
        contexts: the words of all regions [all regions, tokens, width].
        numbers: of the map's pixels [height, width].
    """
    flat = [numbers[place.rows, place.columns].flatten() for place in places]
    most = max(map(len, flat))
    padded = [torch.cat([pixels, pixels[:1].expand(most - len(pixels))]) for pixels in flat]
    return Group(places, contexts[[place.region for place in places]], torch.stack(padded))


def _repeated(context: Tensor, length: int) -> Tensor:
    """The tokens repeated up to `length`: softmax over them gives the same sum."""
    return context.repeat(1, length // context.shape[1], 1)
