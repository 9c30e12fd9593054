"""Makes what an edit drew fit the source around it, so that no edge of a box shows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

SURROUNDINGS = 1 / 16  # their width around the area, of the picture's shorter side
SAME = 0.16
"""The largest difference of a colour, in 0..1, between two pictures of the same thing."""
ALIKE = 0.15
"""How far colours may be from those of the surroundings to be shifted with them; beyond it ever less."""


def harmonize(drawn: Tensor, source: Tensor, area: Tensor) -> Tensor:
    """`drawn` with its ground in the tone that it has in the source: pictures [b, H, W, 3] in 0..1.

    A model never draws a background again in quite the same tone, and where a box ends a difference of a few
    levels is seen as a line. Around the area (weights [H, W], 0 where the source is kept) both pictures show
    the same; how they differ there is continued smoothly across it and added to what looks like the
    surroundings. Things of other colours keep theirs.
    """
    picture, shown = (image.movedim(-1, 1) for image in (drawn, source))
    inside = (area > 0).to(drawn)[None, None]
    reach = max(1, round(SURROUNDINGS * min(area.shape)))
    around = max_pool2d(inside, 2 * reach + 1, stride=1, padding=reach) - inside
    difference = shown - picture
    known = around * (difference.abs().amax(dim=1, keepdim=True) < SAME)
    shift, tone = continued(torch.cat([difference, picture], dim=1), known).chunk(2, dim=1)
    far = (picture - tone).square().sum(dim=1, keepdim=True)
    shifted = (picture + torch.exp(-far / ALIKE**2) * shift).clamp(0, 1)
    return shifted.movedim(1, -1)


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
