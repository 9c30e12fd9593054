"""Pictures are opened as people see them: every depth and colour profile shows the level that arithmetic
gives, and what cannot be shown is refused with a message.

What is expected comes from the formulas of sRGB, CIE Lab and ICC, which share nothing with the library."""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from got_models.errors import GoTError
from got_models.pictures import open_picture

from .picture_files import (
    ADOBE,
    ADOBE_D50,
    HALF,
    LINEAR,
    MANY,
    P3,
    P3_D50,
    SIDE,
    SRGB_D50,
    animation,
    chunk,
    cmyk_profile,
    encoded,
    flat,
    flat_png,
    gray_profile,
    lab_of_inks,
    numbers,
    of_floats,
    opened,
    oriented,
    png,
    profile,
    saved,
    shown_lab,
    shown_rgb,
    tga,
    tiff,
    twelve_bits,
    with_texts,
)

RIGHT: dict[str, tuple[Callable[[], bytes], list[float]]] = {
    # depths
    "1 bit": (lambda: saved(Image.new("1", (SIDE, SIDE), 1), "PNG"), [255] * 3),
    "2 bits, PNG": (lambda: png(4, 4, 2, 0, (b"\0" + b"\xaa") * 4), [170] * 3),
    "4 bits, PNG": (lambda: png(2, 2, 4, 0, (b"\0" + b"\x77") * 2), [119] * 3),
    "16-bit gray, PNG": (lambda: numbers("<u2", HALF, "PNG"), [HALF / 257] * 3),
    "16-bit gray, dark, PNG": (lambda: numbers("<u2", 1000, "PNG"), [1000 / 257] * 3),
    "16-bit gray, white, PNG": (lambda: numbers("<u2", 65535, "PNG"), [255] * 3),
    "16-bit gray and alpha, PNG": (
        lambda: flat_png(16, 4, struct.pack(">HH", 0x4000, 0x8080)),
        [64 * 128 / 255 + 255 * 127 / 255] * 3,
    ),
    "16-bit RGB, PNG": (lambda: flat_png(16, 2, struct.pack(">HHH", 50000, 20000, 300)), [194.6, 77.8, 1.2]),
    "16-bit RGBA, PNG": (
        lambda: flat_png(16, 6, struct.pack(">HHHH", 0xFFFF, 0, 0, 0x8080)),
        [255, 127, 127],
    ),
    "16-bit gray, TIFF": (lambda: numbers("<u2", HALF, "TIFF"), [HALF / 257] * 3),
    "16-bit gray, TIFF, big-endian": (lambda: tiff(struct.pack(">H", HALF), 16, order=">"), [HALF / 257] * 3),
    "16-bit gray, TIFF, white is zero": (
        lambda: tiff(struct.pack("<H", 10000), 16, photometric=0),
        [255 - 10000 / 257] * 3,
    ),
    "8-bit gray, TIFF, white is zero": (lambda: tiff(b"\x20", 8, photometric=0), [255 - 0x20] * 3),
    "32-bit gray, TIFF": (lambda: tiff(struct.pack("<I", 3 << 30), 32), [0.75 * 255] * 3),
    "12-bit gray, TIFF": (lambda: twelve_bits(2048), [2048 / 4095 * 255] * 3),
    "float, TIFF": (lambda: of_floats(0.25), [63.75] * 3),
    "float, black, TIFF": (lambda: of_floats(0.0), [0] * 3),
    "float, white, TIFF": (lambda: of_floats(1.0), [255] * 3),
    "16-bit gray, PGM": (
        lambda: b"P5 8 8 65535\n" + struct.pack(">H", HALF) * SIDE * SIDE,
        [HALF / 257] * 3,
    ),
    "10-bit gray, PGM": (
        lambda: b"P5 8 8 1023\n" + struct.pack(">H", 512) * SIDE * SIDE,
        [512 / 1023 * 255] * 3,
    ),
    "TGA whose fourth byte means nothing": (lambda: tga(b"\3\2\1\0", 0x20), [1, 2, 3]),
    "TGA with alpha": (lambda: tga(b"\3\2\1\0", 0x28), [255] * 3),
    "16-bit gray, JPEG 2000": (lambda: numbers("<u2", HALF, "JPEG2000"), [HALF / 257] * 3),
    # transparency
    "transparent gray of 2 bits": (
        lambda: png(4, 4, 2, 0, (b"\0" + b"\x55") * 4, chunk(b"tRNS", b"\0\1")),
        [255] * 3,
    ),
    "transparent gray of 4 bits": (
        lambda: png(2, 2, 4, 0, (b"\0" + b"\x33") * 2, chunk(b"tRNS", b"\0\3")),
        [255] * 3,
    ),
    "another gray of 4 bits is transparent": (
        lambda: png(2, 2, 4, 0, (b"\0" + b"\x33") * 2, chunk(b"tRNS", b"\0\x04")),
        [51] * 3,
    ),
    "transparent gray of 16 bits": (
        lambda: flat_png(16, 0, struct.pack(">H", 1000), chunk(b"tRNS", struct.pack(">H", 1000))),
        [255] * 3,
    ),
    "transparent colour of 16 bits": (
        lambda: flat_png(16, 2, b"\x20\x40" * 3, chunk(b"tRNS", b"\x20\x40" * 3)),
        [255] * 3,
    ),
    "another colour of 16 bits is transparent": (
        lambda: flat_png(16, 2, b"\x40\x00" * 3, chunk(b"tRNS", b"\x20\x40" * 3)),
        [64] * 3,
    ),
    "palette with alpha": (
        lambda: flat_png(
            8, 3, b"\1", chunk(b"PLTE", bytes([0, 0, 0, 200, 100, 0])), chunk(b"tRNS", b"\xff\x33")
        ),
        [200 * 0.2 + 204, 100 * 0.2 + 204, 204],
    ),
    # colours
    "CMYK, JPEG": (lambda: saved(flat("CMYK", (0, 0, 0, 102)), "JPEG", quality=100), [153] * 3),
    "YCbCr, TIFF": (lambda: saved(flat("YCbCr", (100, 128, 128)), "TIFF"), [100] * 3),
    "Lab, TIFF": (lambda: saved(flat("LAB", (153, 148, 108)), "TIFF"), shown_lab(60, 20, -20)),
    # profiles
    "Adobe RGB": (
        lambda: saved(flat("RGB", (100, 180, 60)), "PNG", icc_profile=ADOBE),
        shown_rgb((100, 180, 60), ADOBE_D50, 2.2),
    ),
    "Display P3": (
        lambda: saved(flat("RGB", (200, 120, 90)), "TIFF", icc_profile=P3),
        shown_rgb((200, 120, 90), P3_D50, 2.2),
    ),
    "linear light": (
        lambda: saved(flat("RGB", (55, 128, 20)), "WEBP", lossless=True, icc_profile=LINEAR),
        shown_rgb((55, 128, 20), SRGB_D50, 1.0),
    ),
    "Adobe RGB with alpha": (
        lambda: saved(flat("RGBA", (100, 180, 60, 51)), "PNG", icc_profile=ADOBE),
        [204 + 0.2 * value for value in shown_rgb((100, 180, 60), ADOBE_D50, 2.2)],
    ),
    "Adobe RGB in a palette": (
        lambda: flat_png(
            8,
            3,
            b"\1",
            chunk(b"iCCP", b"x\0\0" + zlib.compress(ADOBE)),
            chunk(b"PLTE", bytes([0, 0, 0, 100, 180, 60])),
        ),
        shown_rgb((100, 180, 60), ADOBE_D50, 2.2),
    ),
    "gray profile": (
        lambda: saved(flat("L", 60), "PNG", icc_profile=gray_profile(1.0)),
        [encoded(60 / 255)] * 3,
    ),
    "gray profile, 16 bits": (
        lambda: flat_png(
            16, 0, struct.pack(">H", 9000), chunk(b"iCCP", b"x\0\0" + zlib.compress(gray_profile(1.0)))
        ),
        [encoded(9000 / 65535)] * 3,
    ),
    "gray profile with alpha": (
        lambda: saved(flat("LA", (60, 51)), "PNG", icc_profile=gray_profile(1.0)),
        [204 + 0.2 * encoded(60 / 255)] * 3,
    ),
    "gray profile with alpha, 16 bits": (
        lambda: flat_png(
            *(16, 4, struct.pack(">HH", 9000, 13107)),
            chunk(b"iCCP", b"x\0\0" + zlib.compress(gray_profile(1.0))),
        ),
        [204 + 0.2 * encoded(9000 / 65535)] * 3,
    ),
    "CMYK profile": (
        lambda: saved(flat("CMYK", (0, 255, 0, 0)), "TIFF", icc_profile=cmyk_profile(lab_of_inks)),
        shown_lab(80, 20, 0),
    ),
    "CMYK profile, JPEG": (
        lambda: saved(
            flat("CMYK", (0, 0, 255, 0)), "JPEG", quality=100, icc_profile=cmyk_profile(lab_of_inks)
        ),
        shown_lab(80, 0, 20),
    ),
    "sRGB profile": (
        lambda: saved(
            flat("RGB", (100, 180, 60)),
            "PNG",
            icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        ),
        [100, 180, 60],
    ),
    "profile for other colours": (
        lambda: saved(flat("RGB", (100, 180, 60)), "PNG", icc_profile=gray_profile(1.0)),
        [100, 180, 60],
    ),
    "gray with a profile for RGB": (lambda: saved(flat("L", 60), "PNG", icc_profile=ADOBE), [60] * 3),
    "profile of noise": (
        lambda: saved(flat("RGB", (100, 180, 60)), "PNG", icc_profile=b"\x07" * 500),
        [100, 180, 60],
    ),
    "profile cut off": (
        lambda: saved(flat("RGB", (100, 180, 60)), "TIFF", icc_profile=ADOBE[:200]),
        [100, 180, 60],
    ),
    "profile without curves": (
        lambda: saved(flat("RGB", (100, 180, 60)), "PNG", icc_profile=profile(b"RGB ", {})),
        [100, 180, 60],
    ),
    # what stands beside the pixels
    "2 MB of packed text": (lambda: with_texts(flat("RGB", (1, 2, 3)), ("workflow", MANY)), [1, 2, 3]),
    "80 MB of packed text": (
        lambda: with_texts(flat("RGB", (1, 2, 3)), *((f"note {n}", MANY[:1_000_000]) for n in range(80))),
        [1, 2, 3],
    ),
    "2 MB of packed text and a profile": (
        lambda: with_texts(flat("RGB", (100, 180, 60)), ("workflow", MANY), icc_profile=ADOBE),
        shown_rgb((100, 180, 60), ADOBE_D50, 2.2),
    ),
    "packed text behind the pixels": (
        lambda: flat_png(8, 0, b"\x40")[:-12]
        + chunk(b"zTXt", b"a\0\0" + zlib.compress(MANY.encode()))
        + chunk(b"IEND", b""),
        [64] * 3,
    ),
    "profile of 2 MB": (
        lambda: saved(flat("RGB", (100, 180, 60)), "PNG", icc_profile=ADOBE + bytes(2_000_000)),
        shown_rgb((100, 180, 60), ADOBE_D50, 2.2),
    ),
    "packed text and a damaged profile": (
        lambda: flat_png(
            *(8, 0, b"\x40", chunk(b"zTXt", b"a\0\0" + zlib.compress(MANY.encode()))),
            chunk(b"iCCP", b"x\0\0noise"),
        ),
        [64] * 3,
    ),
    "profile that unpacks to 20 MB": (
        lambda: flat_png(8, 0, b"\x40", chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(20_000_000)))),
        [64] * 3,
    ),
    "damaged EXIF": (
        lambda: saved(flat("RGB", (1, 2, 3)), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"),
        [1, 2, 3],
    ),
    "orientation 99": (lambda: oriented("JPEG", 99), [10, 200, 30]),
    "first frame of a GIF": (lambda: animation("GIF"), [255, 0, 0]),
    "first frame of a WebP": (lambda: animation("WEBP"), [255, 0, 0]),
    "first frame of an APNG": (lambda: animation("PNG"), [255, 0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_picture_shows_the_levels_that_arithmetic_gives(name: str, tmp_path: Path) -> None:
    make, expected = RIGHT[name]
    picture = opened(make(), tmp_path)
    assert picture.mode == "RGB"
    for place in ((0, 0), (picture.width - 1, picture.height - 1)):
        levels = np.array(picture.getpixel(place), float)
        assert np.abs(levels - expected).max() <= 1.01, (levels, expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_of_every_orientation_stands_upright(kind: str, orientation: int, tmp_path: Path) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 255  # white in the top left quarter
    # How each orientation lies in the file: EXIF says where the 0th row and the 0th column are seen.
    lying = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(Image.fromarray(np.ascontiguousarray(lying)), kind, exif=exif)
    assert np.abs(np.asarray(opened(content, tmp_path), int) - upright).mean() < 6


PHOTO = saved(Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)), "JPEG")
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "damaged, or of a kind"),
    "text": (lambda: b"no picture", "damaged, or of a kind"),
    "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "export SVG"),
    "PDF": (lambda: b"%PDF-1.7\n%\xe2\xe3\n1 0 obj\n", "export SVG, PDF"),
    "HEIC": (lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "HEIC"),
    "PostScript, which Pillow would run": (
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "of a kind",
    ),
    "JPEG cut off": (lambda: PHOTO[: len(PHOTO) // 2], "truncated"),
    "PNG cut off": (lambda: saved(flat("RGB", "red"), "PNG")[:50], "cannot open"),
    "PNG without pixels": (lambda: png(8, 8, 8, 0, b"\0\0"), "truncated"),
    "PNG without its palette": (lambda: png(8, 8, 8, 3, bytes(72)), "damaged. Copy or export"),
    "PNG of no width": (lambda: png(0, 8, 8, 0, b""), "cannot"),
    "PNG of no height": (lambda: png(8, 0, 8, 0, b""), "cannot"),
    "PNG signature alone": (lambda: b"\x89PNG\r\n\x1a\n", "cannot open"),
    "PNG that ends in a length": (lambda: b"\x89PNG\r\n\x1a\n\0\0", "cannot open"),
    "PNG with a chunk of 4 GB": (lambda: b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR", "cannot open"),
    "PNG of an unknown depth": (lambda: png(8, 8, 7, 0, b"\0" * 72), "cannot open"),
    "PNG whose pixels are noise": (
        lambda: flat_png(8, 0, b"\1").replace(zlib.compress((b"\0" + b"\1" * 8) * 8), b"\7" * 12),
        "cannot open",
    ),
    "BMP of no size": (lambda: saved(flat("RGB", "red"), "BMP")[:18] + bytes(8) + bytes(60), "cannot"),
    "GIF header alone": (lambda: b"GIF89a\x08\0\x08\0\0\0\0", "cannot open"),
    "TIFF cut off": (lambda: numbers("<u2", 5, "TIFF")[:40], "cannot open"),
    "TIFF whose directory is itself": (lambda: b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 64, "cannot open"),
    "WebP cut off": (lambda: saved(flat("RGB", "red"), "WEBP")[:24], "cannot open"),
    "WebP of noise": (lambda: b"RIFF\x40\0\0\0WEBPVP8 " + b"\7" * 64, "cannot open"),
    "108 megapixels": (lambda: png(12000, 9000, 8, 2, b""), r"89 megapixels.*Scale it down"),
    "400 megapixels": (lambda: png(20000, 20000, 8, 2, b""), r"89 megapixels.*Scale it down"),
    "floats past 1": (lambda: of_floats(4.0), "floats from 4 to 4"),
    "floats of 0 to 255": (lambda: of_floats(128.0), "8 or 16 bits"),
    "floats below 0": (lambda: of_floats(-0.5), "floats"),
    "floats that are no numbers": (lambda: of_floats(float("nan")), "floats"),
    "infinite floats": (lambda: of_floats(float("inf")), "floats"),
    "numbers with a sign, 16 bits": (lambda: tiff(struct.pack("<h", -5), 16, kind=2), "with a sign"),
    "numbers with a sign, 8 bits": (lambda: tiff(b"\xff", 8, kind=2), "with a sign"),
    "numbers with a sign, 32 bits": (lambda: numbers("<i4", 70_000, "TIFF"), "with a sign"),
    "much too long": (lambda: saved(Image.new("RGB", (170, 10)), "PNG"), "16 times as long"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_shown_is_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    with pytest.raises(GoTError, match=message) as caught:
        opened(make(), tmp_path)
    assert "picture" in str(caught.value) and "MAX_" not in str(caught.value)
    assert "attack" not in str(caught.value)


def test_one_float_that_is_no_number_is_found(tmp_path: Path) -> None:
    values = np.full((SIDE, SIDE), 0.5, np.float32)
    values[3, 4] = np.nan
    with pytest.raises(GoTError, match="floats"):
        opened(saved(Image.fromarray(values), "TIFF"), tmp_path)


@pytest.mark.parametrize("name", ["missing.png", "a\0b.png", "\ud800.png", "x" * 300 + ".png", "file/below"])
def test_names_that_no_file_can_have_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(GoTError, match="cannot open") as caught:
        open_picture(tmp_path / name)
    str(caught.value).encode()


def test_a_name_that_is_no_text_opens(tmp_path: Path) -> None:
    name = os.fsdecode(b"f\xffoto.png")
    assert opened(saved(flat("RGB", (1, 2, 3)), "PNG"), tmp_path, name).getpixel((0, 0)) == (1, 2, 3)


def test_a_folder_a_pipe_and_a_device_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for name, message in (
        ("", "folder"),
        ("pipe.png", "pipe"),
        ("device.png", "device"),
        ("loop.png", "links"),
    ):
        with pytest.raises(GoTError, match=message):
            open_picture(tmp_path / name)


def test_many_threads_open_pictures_at_once_and_pillow_stays_as_it_was(tmp_path: Path) -> None:
    from PIL import ImageFile, PngImagePlugin

    def settings() -> list[object]:
        return [
            PngImagePlugin.MAX_TEXT_CHUNK,
            PngImagePlugin.MAX_TEXT_MEMORY,
            Image.MAX_IMAGE_PIXELS,
            ImageFile.LOAD_TRUNCATED_IMAGES,
        ]

    before = settings()
    (tmp_path / "a.png").write_bytes(with_texts(flat("RGB", (1, 2, 3)), ("workflow", MANY)))
    levels: list[object] = []
    threads = [
        threading.Thread(target=lambda: levels.append(open_picture(tmp_path / "a.png").getpixel((0, 0))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert levels == [(1, 2, 3)] * 8
    assert settings() == before
