"""The layout picture of HiDream-O1-Image: outlined boxes on black, the last of its reference pictures.

Facts from HiDream-ai/HiDream-O1-Image (MIT), models/utils.py: MAX_BOX, DEFAULT_COLORS, get_render_params and
draw_bbox_layout. ComfyUI 0.33 has the model (HiDreamO1ReferenceImages), and nothing that draws this.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .region import GRID, Region

COLORS = ((255, 0, 0), (0, 180, 0), (0, 0, 255), (204, 180, 0), (255, 0, 255))
"""Of the boxes, the largest first; smaller ones than the fifth are left out."""
_THICKEST = 0.05  # of the square root of the picture's area; each next box has a fifth less
_THINNEST = 5  # pixels


@dataclass(frozen=True)
class Outline:
    """A box in pixels, all corners inclusive, and its outline, which grows inwards."""

    left: int
    top: int
    right: int
    bottom: int
    color: tuple[int, int, int]
    width: int


def layout_outlines(regions: Sequence[Region], width: int, height: int) -> list[Outline]:
    """What is drawn in a layout picture of this size, in order."""
    thickest = int(math.sqrt(width * height) * _THICKEST)
    less = max(1, thickest // len(COLORS))

    def pixel(value: int, side: int) -> int:
        return min(side - 1, round(value / GRID * side))

    outlines = []
    for region in regions:
        box = region.box
        left, right = (pixel(value, width) for value in (box.x1, box.x2))
        top, bottom = (pixel(value, height) for value in (box.y1, box.y2))
        outlines.append((left, top, right, bottom))
    outlines.sort(key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), reverse=True)
    return [
        Outline(*box, color, max(thickest - place * less, _THINNEST))
        for place, (box, color) in enumerate(zip(outlines, COLORS, strict=False))
    ]
