"""Boxes and mask colours."""

from __future__ import annotations

import pytest
from PIL import ImageColor

from got_models.chain.chain import MASK_COLORS, MAX_REGIONS, Box, ChainError

from .examples import VECTORS


def test_mask_colors_are_distinct_and_visible_on_black():
    rgb = [ImageColor.getrgb(color) for color in MASK_COLORS]
    assert len(rgb) == len(set(rgb)) == MAX_REGIONS
    assert min(max(color) for color in rgb) >= 128
    assert MASK_COLORS[:8] == ("red", "green", "blue", "yellow", "magenta", "cyan", "orange", "purple")
    assert VECTORS["mask_colors"] == list(MASK_COLORS)


@pytest.mark.parametrize(
    "corners",
    [
        (0, 0, 0, 9),
        (0, 0, 9, 0),
        (9, 0, 1, 9),
        (0, 9, 9, 1),
        (-1, 0, 9, 9),
        (0, 0, 1000, 9),
        (0, 0, 9.0, 9),
        (True, 0, 9, 9),
        ("0", 0, 9, 9),
    ],
)
def test_box_refuses_what_is_no_box(corners):
    with pytest.raises(ChainError):
        Box(*corners)


def test_box_in_pixels():
    assert Box(0, 0, 999, 999).to_pixels(128, 64) == (0, 0, 128, 64)
    assert Box(250, 500, 750, 999).to_pixels(1000, 1000) == (250, 500, 750, 999)
    assert Box(998, 998, 999, 999).to_pixels(8, 8) == (7, 7, 8, 8)
    assert Box(500, 500, 501, 501).to_pixels(8, 8) == (4, 4, 5, 5)
    assert Box.from_pixels(32, 0, 96, 64, 128, 64) == Box(250, 0, 750, 999)
    assert Box.from_pixels(-5, -5, 500, 500, 128, 64) == Box(0, 0, 999, 999)
    assert Box.from_pixels(128, 64, 128, 64, 128, 64) == Box(998, 998, 999, 999)


def test_box_geometry():
    box = Box(0, 0, 100, 200)
    assert box.center == (50, 100)
    assert box.iou(box) == 1
    assert box.iou(Box(100, 0, 200, 200)) == 0
    assert box.iou(Box(500, 500, 600, 600)) == 0
    assert box.iou(Box(50, 100, 150, 300)) == pytest.approx(5000 / 35000)
