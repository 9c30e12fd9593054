"""Makes what an edit drew fit the source around it, so that no edge of a box shows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, pad

SURROUNDINGS = 1 / 16  # their width around the area, of the picture's shorter side
SAME = 0.16
"""The largest difference of a colour, in 0..1, between two pictures of the same thing."""
LARGEST_SIDE = 512
"""A smooth shift needs no more pixels; larger pictures are compared at a whole fraction of their size."""
ALIKE = 0.15
"""How far colours may be from those of the surroundings to be shifted with them; beyond it ever less."""


def harmonize(drawn: Tensor, source: Tensor, area: Tensor) -> Tensor:
    """`drawn` with its ground in the tone that it has in the source: pictures [b, H, W, 3] in 0..1.

    A model never draws a background again in quite the same tone, and where a box ends a difference of a few
    levels is seen as a line. Around the area (weights [H, W], 0 where the source is kept) both pictures show
    the same; how they differ there is continued smoothly across it and added to what looks like the
    surroundings. Things of other colours keep theirs.
    """
    picture = drawn.movedim(-1, 1)
    factor = -(-max(area.shape) // LARGEST_SIDE)
    inside, small, shown = (
        avg_pool2d(image, factor, ceil_mode=True)
        for image in ((area > 0).to(drawn)[None, None], picture, source.movedim(-1, 1))
    )
    inside = (inside > 0).to(drawn)
    around = dilated(inside, max(1, round(SURROUNDINGS * min(inside.shape[2:])))) - inside
    difference = shown - small
    known = around * (difference.abs().amax(dim=1, keepdim=True) < SAME)
    found = continued(torch.cat([difference, small], dim=1), known)
    shift, tone = interpolate(found, size=picture.shape[2:], mode="bilinear").chunk(2, dim=1)
    far = (picture - tone).square().sum(dim=1, keepdim=True)
    return (picture + torch.exp(-far / ALIKE**2) * shift).clamp(0, 1).movedim(1, -1)


def dilated(mask: Tensor, reach: int) -> Tensor:
    """A mask [b, 1, h, w] of 0 and 1, grown by `reach` pixels, in steps that double."""
    step = 1
    while reach > 0:
        step = min(step, reach)
        mask = max_pool2d(pad(mask, (step,) * 4), 3, stride=1, dilation=step)
        reach, step = reach - step, 2 * step
    return mask


def continued(values: Tensor, known: Tensor) -> Tensor:
    """Values [b, c, h, w], continued smoothly from where they are known ([b, 1, h, w], 0 or 1).

    Pull-push (Gortler et al., The Lumigraph, 1996): averages of what is known at ever coarser scales fill in
    what is not. 0 where nothing is known.
    """
    if max(values.shape[2:]) == 1:
        return values * known
    share = avg_pool2d(known, 2, ceil_mode=True)
    coarse = avg_pool2d(values * known, 2, ceil_mode=True) / share.clamp(min=1e-6)
    filled = continued(coarse, (share > 0).to(values))
    finer = interpolate(filled, size=values.shape[2:], mode="bilinear")
    return torch.lerp(finer, values, known)
