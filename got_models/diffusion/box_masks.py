"""Boxes as coloured masks, by the rule that a checkpoint was trained with."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from ..chain.chain import GRID, Box, Region

MASK_RULES = ("published", "rounded")
"""How boxes become pixels: truncated and filled up to and including the bottom-right corner, as the published
inference does it; or rounded, without that corner. A checkpoint draws best with the rule that it was trained
with."""


def mask_corners(box: Box, size: tuple[int, int], rule: str) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a box's mask in a picture of size (H, W), all inclusive.

    Args:
        rule: one of MASK_RULES.
    """
    height, width = size
    if rule == "published":  # in floating point, as it was published: int(290 / 1000 * 100) is 28
        left, right = (int(x / GRID * width) for x in (box.x1, box.x2))
        top, bottom = (int(y / GRID * height) for y in (box.y1, box.y2))
        return left, top, right, bottom
    left, top, right, bottom = box.to_pixels(width, height)
    return left, top, right - 1, bottom - 1


def draw_region_masks(regions: Sequence[Region], size: tuple[int, int], rule: str) -> list[Image.Image]:
    """One black picture of size (H, W) per region, with its box filled in the region's colour.

    No region: one black picture. The rule is one of MASK_RULES.
    """
    height, width = size
    if not regions:
        return [Image.new("RGB", (width, height))]
    pictures = []
    for region in regions:
        picture = Image.new("RGB", (width, height))
        ImageDraw.Draw(picture).rectangle(mask_corners(region.box, size, rule), fill=region.color)
        pictures.append(picture)
    return pictures
