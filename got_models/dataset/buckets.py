"""Aspect-ratio buckets: the few sizes at which pictures are trained, all of about the same area.

Pictures are resized to their bucket, never cropped: boxes are in thousandths of the picture, so they remain
valid, and so does everything that a chain mentions.
"""

from __future__ import annotations

import math
from functools import cache

from .rows import MAX_ASPECT

STEPS_PER_SIDE = 16  # a square bucket is this many steps wide; buckets differ by whole steps
MIN_STEP = 8  # pixels: one latent


@cache
def bucket_sizes(resolution_px: int) -> tuple[tuple[int, int], ...]:
    """All (height, width) in pixels with about the area of a square with this side."""
    step = max(MIN_STEP, resolution_px // STEPS_PER_SIDE // MIN_STEP * MIN_STEP)
    root = math.sqrt(MAX_ASPECT)
    shortest, longest = math.ceil(resolution_px / root / step), int(resolution_px * root / step)
    sizes = set()
    for steps in range(shortest, longest + 1):
        other = min(longest, max(shortest, round((resolution_px / step) ** 2 / steps)))
        sizes |= {(steps * step, other * step), (other * step, steps * step)}
    return tuple(sorted(sizes))


def nearest_bucket(width: int, height: int, resolution_px: int) -> tuple[int, int]:
    """The (height, width) in pixels that changes the aspect of a width x height picture least."""

    def change(size: tuple[int, int]) -> float:
        return abs(math.log(size[1] / size[0] * height / width))

    return min(bucket_sizes(resolution_px), key=change)
