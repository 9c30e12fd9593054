"""Regional attention: in one pass of a UNet, each region of a picture attends to its own words.

Cross-attention is computed for the base prompt and for each region, all in one batch, and the results are
summed per pixel, weighted by how much it belongs to each region. The rest of the UNet runs once, so that a
step costs little more than a plain one. The attention layers are not modified: `widen` is called before them,
`blend` after them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..chain.region import GRID, Box
from ..errors import GoTError

CONDITIONAL = 0
"""How ComfyUI marks, in `cond_or_uncond`, the rows of a batch that follow the positive prompt."""


def region_weights(
    boxes: Sequence[Box], strengths: Sequence[float], size: tuple[int, int], base: float, feather: float
) -> Tensor:
    """Each pixel's weight for the base prompt and for each region: [1 + regions, h, w], summing to 1.

    Outside all boxes the base prompt is alone. Inside, it keeps the share `base`, and the regions there share
    the rest by their strengths, so that no pixel is without words.

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
    given = (1.0 - base) * covers.amax(dim=0)
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
        self._weights: dict[Any, Tensor] = {}

    def widen(
        self, hidden: Tensor, keys: Tensor, values: Tensor, options: Mapping[str, Any]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Before cross-attention: append each positive row once for every region, with that region's words.

        Args:
            hidden: [rows, pixels, channels].
            keys, values: what each row hears [rows, tokens, width]; mostly one and the same tensor.
            options: ComfyUI's, with `cond_or_uncond`.
        """
        heard, rows = self._heard(options), hidden.shape[0] // len(options["cond_or_uncond"])
        if not heard:
            return hidden, keys, values
        positive = torch.cat([hidden[chunk * rows : (chunk + 1) * rows] for chunk in heard])
        self.contexts = self.contexts.to(keys)
        words = self.contexts.repeat_interleave(positive.shape[0], dim=0)
        widened = torch.cat([hidden, positive.repeat(len(self.boxes), 1, 1)])
        wide_keys = _joined(keys, words)
        return widened, wide_keys, wide_keys if values is keys else _joined(values, words)

    def blend(self, hidden: Tensor, options: Mapping[str, Any]) -> Tensor:
        """After cross-attention: sum each positive row's regions, weighted per pixel.

        Raises:
            GoTError: the pixels are not those of the feature map.
        """
        heard, chunks = self._heard(options), len(options["cond_or_uncond"])
        if not heard:
            return hidden
        rows = hidden.shape[0] // (chunks + len(heard) * len(self.boxes))
        own = hidden[: chunks * rows]
        regions = hidden[chunks * rows :].unflatten(0, (len(self.boxes), len(heard), rows))
        base, *weights = self._weights_for(options, hidden)
        blended = list(own.split(rows))
        for index, chunk in enumerate(heard):
            parts = [weight * region[index] for weight, region in zip(weights, regions, strict=True)]
            blended[chunk] = torch.stack([base * blended[chunk], *parts]).sum(dim=0)
        return torch.cat(blended)

    def _heard(self, options: Mapping[str, Any]) -> list[int]:
        return [index for index, kind in enumerate(options["cond_or_uncond"]) if kind == CONDITIONAL]

    def _weights_for(self, options: Mapping[str, Any], hidden: Tensor) -> Tensor:
        """[1 + regions, pixels, 1], in the dtype and on the device of `hidden`."""
        height, width = options["activations_shape"][2:4]
        if height * width != hidden.shape[1]:
            raise GoTError(
                f"Regional prompts need all {height} x {width} points of the picture, but cross-attention "
                f"gets {hidden.shape[1]}: another patch of the model leaves some out. Remove HyperTile, "
                "token merging or the like."
            )
        key = height, width, hidden.device, hidden.dtype
        if key not in self._weights:
            weights = region_weights(self.boxes, self.strengths, (height, width), self.base, self.feather)
            self._weights[key] = weights.flatten(1).unsqueeze(-1).to(hidden)
        return self._weights[key]


def _repeated(context: Tensor, length: int) -> Tensor:
    """The tokens repeated up to `length`: softmax over them gives the same sum."""
    return context.repeat(1, length // context.shape[1], 1)


def _joined(rows: Tensor, words: Tensor) -> Tensor:
    longest = math.lcm(rows.shape[1], words.shape[1])
    return torch.cat([_repeated(rows, longest), _repeated(words, longest)])
