"""PNG chunks: reading a text or the colour profile without a decoder, and copying a file without them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
PROFILE_CHUNK = b"iCCP"
MAX_TEXT, MAX_PROFILE = 1_000_000, 16_000_000  # bytes
END = b"IEND"


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, data) of every chunk of a PNG file, up to its end or truncation.

    Checksums are not verified.

    Raises:
        ValueError: it is not a PNG file.
    """
    if not content.startswith(SIGNATURE):
        raise ValueError("it is not a PNG file")
    place = len(SIGNATURE)
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        yield kind, content[place + 8 : place + 8 + length]
        if kind == END:
            return
        place += length + 12


def find_text(path: Path, key: str) -> str | None:
    """The text stored in a PNG file under a key, the last one if there are several; None if there is none.

    Other texts, however large, are not decompressed.

    Raises:
        ValueError: it is not a PNG file, or the text cannot be decompressed or is larger than MAX_TEXT bytes.
        OSError: the file cannot be read.
    """
    found = None
    for kind, data in chunks(path.read_bytes()):
        keyword, _, rest = data.partition(b"\0")
        if kind in TEXT_CHUNKS and keyword == key.encode("latin-1"):
            found = _text(kind, rest)
    return found


def color_profile(content: bytes) -> bytes | None:
    """The ICC profile in a PNG file; None if there is none.

    Raises:
        ValueError: it cannot be decompressed, or is larger than MAX_PROFILE bytes.
    """
    for kind, data in chunks(content):
        if kind == PROFILE_CHUNK:
            return _unpacked(data.partition(b"\0")[2][1:], MAX_PROFILE)
    return None


def pixels_alone(content: bytes) -> bytes:
    """A PNG file without texts and colour profile, since Pillow rejects files in which these are large."""
    parts = [SIGNATURE]
    for kind, data in chunks(content):
        if kind not in (*TEXT_CHUNKS, PROFILE_CHUNK):
            parts += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data))]
    return b"".join(parts)


def _text(kind: bytes, data: bytes) -> str:
    """The data after a text chunk's keyword, decompressed."""
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed = data[:1] == b"\1"
        data = data[2:].split(b"\0", 2)[-1]  # after the language and the translated keyword
    elif packed:
        data = data[1:]
    if packed:
        data = _unpacked(data, MAX_TEXT)
    if len(data) > MAX_TEXT:
        raise ValueError(f"a text has more than {MAX_TEXT} bytes")
    return data.decode("utf-8" if kind == b"iTXt" else "latin-1")


def _unpacked(data: bytes, largest: int) -> bytes:
    try:
        content = zlib.decompressobj().decompress(data, largest + 1)
    except zlib.error as error:
        raise ValueError(f"packed data are damaged ({error})") from error
    if len(content) > largest:
        raise ValueError(f"packed data have more than {largest} bytes")
    return content
