"""Where two pictures differ visibly."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageFilter

VISIBLE = 0.12
"""The difference of a colour, of its whole range, from which it is seen: more than a JPEG's noise."""
COMPARED_SIDE = 256
"""The longer side in pixels at which two pictures are compared."""


def changed_pixels(before: Image.Image, after: Image.Image) -> np.ndarray:
    """Which pixels [height, width] of the first picture, shrunk to `COMPARED_SIDE`, the second has otherwise.

    Lines thinner than three pixels do not count, as edges shift when a picture is encoded and decoded.
    """
    scale = min(1.0, COMPARED_SIDE / max(before.size))
    size = (max(1, round(before.width * scale)), max(1, round(before.height * scale)))
    one, other = (picture.convert("RGB").resize(size, Image.Resampling.BOX) for picture in (before, after))
    apart = ImageChops.difference(one, other).split()
    largest = ImageChops.lighter(ImageChops.lighter(apart[0], apart[1]), apart[2])
    changed = largest.point(lambda level: 255 * (level > 255 * VISIBLE))
    changed = changed.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MaxFilter(3))
    found: np.ndarray = np.asarray(changed) > 0
    return found
