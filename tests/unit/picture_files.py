"""Picture files and colour profiles built byte by byte, and the levels expected by arithmetic."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from got_models.pictures import open_picture

SIDE = 8


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, color: int, rows: bytes, *more: bytes) -> bytes:
    """A PNG of these rows, each after its filter byte; `more` chunks come before the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + end


def flat_png(depth: int, color: int, sample: bytes, *more: bytes) -> bytes:
    """SIDE x SIDE pixels, each of them `sample`."""
    return png(SIDE, SIDE, depth, color, (b"\0" + sample * SIDE) * SIDE, *more)


def tiff(sample: bytes, bits: int, *, photometric: int = 1, kind: int = 1, order: str = "<") -> bytes:
    """A TIFF of SIDE x SIDE equal pixels of one channel. `kind`: 1 unsigned, 2 signed, 3 float."""
    pixels = sample * SIDE * SIDE
    entries = [
        (256, 3, SIDE),
        (257, 3, SIDE),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, SIDE),
        (279, 4, len(pixels)),
        (339, 3, kind),
    ]
    directory = struct.pack(order + "H", len(entries))
    for tag, size, value in entries:
        content = struct.pack(order + ("HH" if size == 3 else "I"), *((value, 0) if size == 3 else (value,)))
        directory += struct.pack(order + "HHI", tag, size, 1) + content
    magic = b"II" if order == "<" else b"MM"
    return magic + struct.pack(order + "HI", 42, 8 + len(pixels)) + pixels + directory + bytes(4)


def tga(pixel: bytes, descriptor: int) -> bytes:
    """A TGA of SIDE x SIDE equal pixels of four bytes; the descriptor says how many bits are alpha."""
    return struct.pack("<2xB13x", 2)[:12] + struct.pack("<HHBB", SIDE, SIDE, 32, descriptor) + pixel * SIDE**2


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def opened(content: bytes, tmp_path: Path, name: str = "picture") -> Image.Image:
    (tmp_path / name).write_bytes(content)
    return open_picture(tmp_path / name)


def encoded(linear: float) -> float:
    """IEC 61966-2-1: linear light from 0 to 1 -> an sRGB level from 0 to 255."""
    linear = min(max(linear, 0.0), 1.0)
    return 255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055)


SRGB_D50 = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
ADOBE_D50 = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
P3_D50 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
"""The primaries' XYZ as columns, adapted to ICC's white point D50."""
WHITE_D50 = np.array([0.9642, 1.0, 0.8249])


def shown_xyz(xyz: np.ndarray) -> list[float]:
    return [encoded(float(value)) for value in np.linalg.solve(SRGB_D50, xyz)]


def shown_rgb(color: tuple[int, int, int], primaries: np.ndarray, gamma: float) -> list[float]:
    return shown_xyz(primaries @ (np.array(color) / 255) ** gamma)


def shown_lab(lightness: float, a: float, b: float) -> list[float]:
    middle = (lightness + 16) / 116
    roots = np.array([middle + a / 500, middle, middle - b / 200])
    return shown_xyz(WHITE_D50 * np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29)))


def fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def profile(
    space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", connection: bytes = b"XYZ "
) -> bytes:
    """An ICC profile of version 2.1."""
    text = b"desc" + bytes(4) + struct.pack(">I", 2) + b"x\0" + bytes(78)
    tags = {b"desc": text, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": xyz(WHITE_D50), **tags}
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = bytes(4) + b"none" + bytes.fromhex("02100000") + kind + space + connection + bytes(12) + b"acsp"
    header += bytes(28) + fixed(*WHITE_D50) + bytes(48)
    whole = header + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + fixed(*values)


def curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def rgb_profile(primaries: np.ndarray, gamma: float) -> bytes:
    colors = {name + b"XYZ": xyz(primaries[:, place]) for place, name in enumerate((b"r", b"g", b"b"))}
    return profile(b"RGB ", {**colors, **{name + b"TRC": curve(gamma) for name in (b"r", b"g", b"b")}})


def gray_profile(gamma: float) -> bytes:
    return profile(b"GRAY", {b"kTRC": curve(gamma)})


def cmyk_profile(inks: Callable[[int, int, int, int], tuple[float, float, float]]) -> bytes:
    """`inks`: each of cyan, magenta, yellow and black off or on -> Lab."""
    ramp = bytes(range(256))
    corners = [inks(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = bytes(round(v) for light, a, b in corners for v in (light * 2.55, a + 128, b + 128))
    identity = fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + table + ramp * 3
    return profile(b"CMYK", {b"A2B0": lut}, b"prtr", b"Lab ")


def lab_of_inks(cyan: int, magenta: int, yellow: int, black: int) -> tuple[float, float, float]:
    if black or cyan + magenta + yellow == 3:
        return 0, 0, 0
    light = 100 - 20 * (cyan + magenta + yellow)
    return light, 20 * magenta - 20 * cyan, 20 * yellow - 10 * cyan


ADOBE, P3, LINEAR = rgb_profile(ADOBE_D50, 2.2), rgb_profile(P3_D50, 2.2), rgb_profile(SRGB_D50, 1.0)


def flat(mode: str, color: Any) -> Image.Image:
    return Image.new(mode, (SIDE, SIDE), color)


def of_floats(value: float) -> bytes:
    return saved(Image.fromarray(np.full((SIDE, SIDE), value, np.float32)), "TIFF")


def numbers(kind: str, value: int, save_as: str) -> bytes:
    return saved(Image.fromarray(np.full((SIDE, SIDE), value, kind)), save_as)


def animation(save_as: str) -> bytes:
    return saved(
        flat("RGB", "red"), save_as, save_all=True, append_images=[flat("RGB", "blue")], lossless=True
    )


def oriented(kind: str, orientation: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(flat("RGB", (10, 200, 30)), kind, exif=exif, **({} if kind == "TIFF" else {"quality": 100}))


def with_texts(picture: Image.Image, *texts: tuple[str, str], **options: Any) -> bytes:
    information = PngInfo()
    for key, text in texts:
        information.add_text(key, text, zip=True)
    return saved(picture, "PNG", pnginfo=information, **options)


MANY = "a" * 2_000_000
HALF = 32768


def twelve_bits(value: int) -> bytes:
    pair = bytes([value >> 4, (value & 15) << 4 | value >> 8, value & 255])
    return tiff(b"", 12)[:4] + _with_pixels(pair * (SIDE * SIDE // 2))


def _with_pixels(pixels: bytes) -> bytes:
    whole = tiff(b"", 12).replace(
        struct.pack("<HHII", 279, 4, 1, 0), struct.pack("<HHII", 279, 4, 1, len(pixels))
    )
    return struct.pack("<I", 8 + len(pixels)) + pixels + whole[8:]
