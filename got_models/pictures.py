"""Opening picture files as people see them."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, ImageOps

from .errors import GoTError

LARGEST_ASPECT = 16  # long side over short side


def open_picture(path: Path) -> Image.Image:
    """Open a picture as people see it: upright (EXIF orientation applied), RGB, transparency over white.

    Raises:
        GoTError: the file is missing, no picture, damaged, too narrow, or larger than Pillow allows.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                picture = ImageOps.exif_transpose(file)
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            picture = picture.convert("RGB")
    except (
        Exception
    ) as error:  # decoders raise many kinds on damaged files: OSError, SyntaxError, struct.error, ...
        raise GoTError(f"Expected a picture, cannot open {path}: {error}") from error
    if max(picture.size) > LARGEST_ASPECT * min(picture.size):
        raise GoTError(
            f"A picture may be at most {LARGEST_ASPECT} times as long as it is wide, {path} has "
            f"{picture.width} x {picture.height} pixels. Crop it."
        )
    return picture
