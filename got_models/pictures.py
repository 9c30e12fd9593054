"""Opening picture files as people see them. All code here that opens a picture file uses this module."""

from __future__ import annotations

import stat
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from .errors import GoTError
from .files.png import SIGNATURE, color_profile, pixels_alone

MAX_ASPECT = 16  # long side over short side
MAX_MEGAPIXELS = 89
OPENED_AS = "sRGB"
"""How pictures are opened here: whoever caches something derived from one includes this in the key."""
FORMATS = (
    *("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF", "JXL", "JPEG2000", "MPO", "ICO", "PCX"),
    *("PPM", "PSD", "QOI", "SGI", "TGA"),  # the last one has no signature
)
"""EPS and WMF are excluded because Pillow passes them to other programs."""
ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that turns a picture with this EXIF orientation upright."""
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # tags of a TIFF file
SIGNED, WHITE_IS_ZERO = 2, 0
TRUE_MODE = "got_mode"  # in an opened file's `info`


def open_picture(path: Path) -> Image.Image:
    """Open a picture as people see it: first frame, upright (EXIF), 8-bit sRGB, transparency over white.

    Integers of 12, 16 or 32 bits are scaled by their depth, and floats are taken from 0 to 1. An embedded
    colour profile is applied as other programs do, with the relative colorimetric intent and black point
    compensation; one that is damaged, or for a different colour space than the picture's, is ignored.

    Raises:
        GoTError: the file is missing, not a picture, damaged, too narrow or too large, or its numbers have no
            defined black and white.
    """
    check_is_file(path)
    try:
        with _load(path) as file:
            picture = _as_seen(file)
    except GoTError as error:
        raise GoTError(f"The picture {path} cannot be used: {error}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise GoTError(f"The picture {path} cannot be used: {_too_large('far too many')}") from error
    except UnidentifiedImageError as error:
        raise GoTError(
            f"Expected a picture, cannot open {path}: it is damaged, or of a kind that is not read here. "
            "PNG, JPEG, WebP, and TIFF of 8 or 16 bits are; export SVG, PDF, HEIC and raw photos as one of "
            "these."
        ) from error
    except (
        Exception
    ) as error:  # decoders raise many types on damaged files: OSError, SyntaxError, struct.error
        reason = f" ({error})" if str(error) else ""
        raise GoTError(
            f"Expected a picture, cannot open {path}: it is damaged{reason}. Copy or export it again."
        ) from error
    if max(picture.size) > MAX_ASPECT * min(picture.size):
        raise GoTError(
            f"A picture may be at most {MAX_ASPECT} times as long as it is wide, {path} has "
            f"{picture.width} x {picture.height} pixels. Crop it."
        )
    return picture


def check_is_file(path: Path) -> None:
    """
    Raises:
        GoTError: there is no such file, or it is not a regular file: reading a pipe may block forever.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise GoTError(f"Expected a picture, cannot open {path}: {reason}.") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise GoTError(f"Expected a picture, cannot open {path}: it is {kind}.")


def _load(path: Path) -> ImageFile.ImageFile:
    """The first frame, decoded. If Pillow rejects a PNG for its large texts or profile, they are removed."""
    try:
        return _decode(path)
    except GoTError:
        raise
    except ValueError:
        content = path.read_bytes()
        if not content.startswith(SIGNATURE):
            raise
        file = _decode(BytesIO(pixels_alone(content)))
        with suppress(ValueError):
            file.info["icc_profile"] = color_profile(content)
        return file


def _decode(source: Path | BytesIO) -> ImageFile.ImageFile:
    Image.init()
    file = Image.open(source, formats=[name for name in FORMATS if name in Image.OPEN])
    try:
        if min(file.size) < 1:
            raise GoTError("it has no pixels.")
        if file.width * file.height > MAX_MEGAPIXELS * 10**6:
            raise GoTError(_too_large(f"{file.width} x {file.height}"))
        _fix_transparency(file)
        file.info[TRUE_MODE] = _true_mode(file)
        file.load()
    except BaseException:
        file.close()
        raise
    return file


def _too_large(pixels: str) -> str:
    return (
        f"it has {pixels} pixels, and pictures may have at most {MAX_MEGAPIXELS} megapixels. Scale it "
        "down: the model sees no more than 2048 pixels a side."
    )


def _fix_transparency(file: ImageFile.ImageFile) -> None:
    """Fix a PNG's transparent colour, which Pillow returns unscaled even where it scales the pixels."""
    color = file.info.get("transparency")
    if file.format == "PNG" and file.tile:
        depth = file.tile[0][3]
        if depth == "RGB;16B" and isinstance(color, tuple):
            file.info["transparency"] = tuple(value >> 8 for value in color)
        elif depth in ("L;2", "L;4") and isinstance(color, int):
            file.info["transparency"] = color * (85 if depth == "L;2" else 17)


def _true_mode(file: ImageFile.ImageFile) -> str | None:
    """The mode of a file not loaded yet, where Pillow reports another one, or one that it cannot convert."""
    if file.mode == "La" or (file.format == "PNG" and file.tile and file.tile[0][3] == "LA;16B"):
        return "LA"
    if file.format == "TGA" and file.mode == "RGBA" and file.fp is not None:
        file.fp.seek(17)
        if not file.fp.read(1)[0] & 15:  # how many bits of the fourth byte are used
            return "RGB"
    return None


def _as_seen(file: ImageFile.ImageFile) -> Image.Image:
    """A decoded file as 8-bit sRGB, upright."""
    profile = _profile(file)
    if SIGNED in getattr(file, "tag_v2", {}).get(SAMPLE_FORMAT, ()):
        raise GoTError("its values are whole numbers with a sign. Save it with 8 or 16 bits, without a sign.")
    picture: Image.Image = file.convert(file.info[TRUE_MODE]) if file.info[TRUE_MODE] else file
    alpha = None
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        color, alpha = _deep_gray(file, profile)
    else:
        if picture.has_transparency_data:
            picture = picture.convert("LA" if picture.mode in ("1", "L", "LA") else "RGBA")
            alpha = picture.getchannel("A")
        color = _color(picture, profile)
    if alpha is not None:
        color = Image.composite(color, Image.new("RGB", color.size, "white"), alpha)
    method = UPRIGHT.get(_orientation(file))
    return color if method is None else color.transpose(method)


def _orientation(file: ImageFile.ImageFile) -> Any:
    """The EXIF orientation, if the decoder has not applied it; damaged EXIF data is ignored."""
    try:
        orientation = file.getexif().get(ORIENTATION)
    except Exception:  # damaged data raises many types
        return None
    return orientation if isinstance(orientation, int) else None


def _deep_gray(
    file: ImageFile.ImageFile, profile: ImageCms.ImageCmsProfile | None
) -> tuple[Image.Image, Image.Image | None]:
    """A one-channel picture with more than 8 bits as RGB, and its alpha channel if there is one.

    Raises:
        GoTError: numbers that have no defined white.
    """
    import numpy as np  # late: the nodes' lists import this file

    values = np.asarray(file)
    tags = getattr(file, "tag_v2", {})
    if file.mode == "F":
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):  # true of NaN as well
            raise GoTError(
                f"its values are floats from {low:g} to {high:g}; only those from 0, black, to 1, white, can "
                "be shown. Save it with 8 or 16 bits."
            )
        white = 1
    else:
        bits = tags.get(BITS_PER_SAMPLE, (16,))[0]
        white = (1 << bits) - 1
        values = values.view(np.uint32) if bits == 32 else values
    levels: Any = values * np.float32(255 / white)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        levels = 255 - levels
    if (curve := _gray_curve(profile)) is not None:
        levels = np.interp(levels, np.arange(256), list(curve))
    transparent = file.info.get("transparency")
    alpha = None
    if isinstance(transparent, int):
        alpha = Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))
    return Image.fromarray(levels.round().astype(np.uint8)).convert("RGB"), alpha


# Colour profiles


def _profile(file: ImageFile.ImageFile) -> ImageCms.ImageCmsProfile | None:
    """The embedded profile if it is readable."""
    content = file.info.get("icc_profile")
    if not content:
        return None
    try:
        return ImageCms.getOpenProfile(BytesIO(content))
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def _color(picture: Image.Image, profile: ImageCms.ImageCmsProfile | None) -> Image.Image:
    """A picture with 8 bits per channel -> RGB, through a profile if it fits the picture's colours."""
    if picture.mode in ("1", "L", "LA"):
        curve = _gray_curve(profile)
        gray = picture.convert("L")
        return (gray if curve is None else gray.point(list(curve))).convert("RGB")
    if picture.mode == "LAB":
        plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        shown = _transformed(picture, profile, "Lab") or _transformed(picture, plain, "Lab")
    elif picture.mode == "CMYK":
        shown = _transformed(picture, profile, "CMYK")
    else:
        picture = picture.convert("RGB")
        shown = _transformed(picture, profile, "RGB")
    return shown or picture.convert("RGB")


def _gray_curve(profile: ImageCms.ImageCmsProfile | None) -> bytes | None:
    """The sRGB levels that a gray profile assigns to the levels from 0 to 255; None without one."""
    ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
    shown = _transformed(ramp, profile, "GRAY")
    return None if shown is None else shown.getchannel("G").tobytes()


def _transformed(
    picture: Image.Image, profile: ImageCms.ImageCmsProfile | None, space: str
) -> Image.Image | None:
    """A picture from a profile to sRGB; None if the profile is unusable or for another colour space."""
    if profile is None:
        return None
    try:
        if profile.profile.xcolor_space.strip() != space:
            return None
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            picture.mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return ImageCms.applyTransform(picture, transform)
    except ImageCms.PyCMSError:
        return None
