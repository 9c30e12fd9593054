"""Reading text files from any system: UTF-8 with or without a byte order mark, or UTF-16 with one."""

from __future__ import annotations

import codecs
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import GoTError


def read_text(file: Path, most_bytes: int) -> str:
    """The text of a file.

    Args:
        most_bytes: the maximum size of the file.

    Raises:
        GoTError: it is missing, not a file, too large, or in another encoding.
    """
    return decoded(read_bytes(file, most_bytes), str(file))


def read_bytes(file: Path, most_bytes: int) -> bytes:
    """The content of a file; pipes and devices are not read.

    Raises:
        GoTError: it is missing, not a file, or too large.
    """
    _check_regular(file, most_bytes)
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unreadable(file, error.strerror or error) from error


def _check_regular(file: Path, most_bytes: int) -> None:
    try:
        status = file.stat()
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL or a lone surrogate
        raise _unreadable(file, getattr(error, "strerror", None) or error) from error
    if not stat.S_ISREG(status.st_mode):
        raise _unreadable(file, "it is not a regular file")
    if status.st_size > most_bytes:
        raise _unreadable(file, f"it has more than {most_bytes:,} bytes")


def _unreadable(file: Path, reason: object) -> GoTError:
    return GoTError(f"{file} cannot be read: {reason}.")


def read_lines(file: Path, most_bytes: int) -> Iterator[bytes]:
    """The lines of a text file as UTF-8, one at a time, without their ends; the file is not held in memory.

    Raises:
        GoTError: as `read_bytes`, or it is UTF-16 and damaged.
    """
    _check_regular(file, most_bytes)
    try:
        with file.open("rb") as source:
            if is_utf16(source.read(100)):
                text = decoded(read_bytes(file, most_bytes), str(file))
                yield from text.encode("utf-8", "surrogatepass").splitlines()
                return
            source.seek(0)
            for lines in source:
                yield from lines.splitlines()
    except OSError as error:
        raise _unreadable(file, error.strerror or error) from error


def decoded(content: bytes, what: str) -> str:
    """The bytes decoded as text.

    Raises:
        GoTError: they are neither UTF-8 nor UTF-16 with a byte order mark; names the likely encoding.
    """
    encoding = "utf-16" if is_utf16(content) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # part of a character in another encoding
        raise GoTError(f"{what} is not UTF-8 but probably {_likely_encoding(content)}. Save it as UTF-8.")
    return text


def is_utf16(content: bytes) -> bool:
    """Whether the bytes begin with UTF-16's byte order mark and hold NULs, as its ASCII characters do."""
    return content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"\0" in content


def _likely_encoding(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if b"\0" in content:
        return "UTF-16 without its mark" if not is_utf16(content) else "damaged UTF-16"
    try:
        content.decode("gb2312")  # narrower than GBK, so that few other encodings pass for it
    except UnicodeDecodeError:
        return "Windows-1252 or GBK"
    return "GBK"
