"""Finding objects in a picture by its pixels alone.

Nothing is taken from the model that generated the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from .scene import BACKGROUNDS, COLORS, PICTURE_SIZE, SHAPES, SUPERSAMPLING, draw_shape

MIN_AREA = 60
"""Pixels of a 128 x 128 picture below which a patch of colour counts as a speck, not an object."""

PixelBox = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""


# --- objects in a picture -------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """One connected patch of an object colour; ``mask`` is boolean [box height, box width]."""

    color: str
    box: PixelBox
    mask: np.ndarray
    area: int

    @property
    def shape(self) -> str:
        """The shape whose outline covers the patch best."""
        return recognise_shape(self.mask)


def classify(picture: Image.Image, colors: Mapping[str, tuple[int, int, int]] = COLORS) -> np.ndarray:
    """[height, width] index of the nearest colour in RGB: first the object colours, then the backgrounds."""
    palette = np.array([*colors.values(), *BACKGROUNDS.values()], dtype=np.float32)  # [12, 3]
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32)  # [height, width, 3]
    # |p - c|^2 = |p|^2 - 2 p.c + |c|^2, and |p|^2 is the same for every colour
    distance = (palette**2).sum(1) - 2 * pixels @ palette.T  # [height, width, 12]
    return distance.argmin(-1)


def find_objects(picture: Image.Image) -> list[Found]:
    """The patches of object colour in a picture, largest first.

    A 3 x 3 opening removes everything thinner than three pixels, so that a smooth edge (the pink rim of a red
    circle on white) is not an object; tips that it cuts off a real object are restored up to two pixels.
    Same-coloured objects that touch are one patch.
    """
    smallest = MIN_AREA * picture.width * picture.height / PICTURE_SIZE**2
    classes = classify(picture)
    counts = np.bincount(classes.ravel(), minlength=len(COLORS))
    found = []
    for index, color in enumerate(COLORS):
        if counts[index] < smallest:
            continue
        mask = classes == index
        left, top, right, bottom = bounds(mask)
        mask = mask[top:bottom, left:right]
        core = over_squares(np.logical_or, over_squares(np.logical_and, mask))
        near = over_squares(np.logical_or, over_squares(np.logical_or, core))
        for part in components(mask & near):
            area = int(part.sum())
            if area >= smallest:
                box = bounds(part)
                placed = (left + box[0], top + box[1], left + box[2], top + box[3])
                found.append(Found(color, placed, part[box[1] : box[3], box[0] : box[2]], area))
    return sorted(found, key=lambda patch: -patch.area)


def bounds(mask: np.ndarray) -> PixelBox:
    """The tightest box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def over_squares(combine: np.ufunc, mask: np.ndarray) -> np.ndarray:
    """Combines each 3 x 3 square of a mask: ``logical_and`` erodes, ``logical_or`` dilates."""
    padded = np.pad(mask, 1)
    rows = combine(combine(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    return combine(combine(rows[:-2], rows[1:-1]), rows[2:])


def components(mask: np.ndarray) -> list[np.ndarray]:
    """The 4-connected components of a boolean mask, each a mask of the same size."""
    remaining = mask.copy()
    parts = []
    while remaining.any():
        part = np.zeros_like(mask)
        part.flat[remaining.argmax()] = True
        size = 0
        while (new_size := int(part.sum())) != size:
            size = new_size
            spread = part.copy()
            spread[1:] |= part[:-1]
            spread[:-1] |= part[1:]
            spread[:, 1:] |= part[:, :-1]
            spread[:, :-1] |= part[:, 1:]
            part = spread & remaining
        remaining &= ~part
        parts.append(part)
    return parts


def recognise_shape(mask: np.ndarray) -> str:
    """The shape that covers the mask best when drawn to fill the mask's own box."""
    height, width = mask.shape

    def overlap(shape: str) -> float:
        template = shape_template(shape, width, height)
        return float((mask & template).sum() / (mask | template).sum())

    return max(SHAPES, key=overlap)


@lru_cache(maxsize=4096)
def shape_template(shape: str, width: int, height: int) -> np.ndarray:
    """Boolean [height, width]: the shape drawn to fill that box."""
    canvas = Image.new("L", (SUPERSAMPLING * width, SUPERSAMPLING * height))
    draw_shape(ImageDraw.Draw(canvas), shape, (0, 0, *canvas.size), 255)
    return np.asarray(canvas.resize((width, height), Image.Resampling.BOX)) >= 128


def find_background(picture: Image.Image) -> str | None:
    """The background nearest to most pixels; None if an object colour covers more than any."""
    names = [*COLORS, *BACKGROUNDS]
    counts = np.bincount(classify(picture).ravel(), minlength=len(names))
    name = names[int(counts.argmax())]
    return name if name in BACKGROUNDS else None


def intersection_over_union(a: PixelBox, b: PixelBox) -> float:
    """Of two pixel boxes, in [0, 1]."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (areas - shared)
