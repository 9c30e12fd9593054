"""What a folder holds to annotate: pairs that `pairs.jsonl` lists, and all other pictures.

    pairs.jsonl    one JSON object per line: image, source, and if it is known prompt, the instruction
    ...            the pictures, also in folders below

The entries are those of `data.jsonl`, without the chain.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dataset.rows import read_lines
from ..errors import GoTError, short_repr
from ..files.linked_files import each_file_below
from ..mllm.prompts import check_prompt

PAIRS_FILE = "pairs.jsonl"
MAX_FILE = 10**12  # bytes of a file that is read line by line
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".heif"),
    *(".heic", ".jxl", ".jp2", ".qoi", ".tga", ".psd"),
)
REQUIRED, OPTIONAL = ("image", "source"), ("prompt",)


@dataclass(frozen=True)
class Item:
    """A picture, or a pair with its instruction if that is known. Names are paths below the folder."""

    image: str
    source: str | None = None
    prompt: str | None = None

    @property
    def key(self) -> int:
        """Identifies it among millions, in few bytes."""
        return key_of(self.image, self.source)


def items(folder: Path) -> Iterator[Item]:
    """All pairs and pictures of a folder, one after the other; hidden files and folders are left out.

    Raises:
        GoTError: a line of `pairs.jsonl` is invalid.
    """
    paired = Keys(key_of(name) for pair in pairs(folder) for name in (pair.image, pair.source or ""))
    yield from pairs(folder)
    for path in each_file_below(folder):
        name = os.path.relpath(path, folder).replace(os.sep, "/")
        hidden = any(part.startswith(".") for part in name.split("/"))
        if os.path.splitext(name)[1].lower() in SUFFIXES and not hidden and key_of(name) not in paired:
            yield Item(name)


def pairs(folder: Path) -> Iterator[Item]:
    """What `pairs.jsonl` lists, if there is one.

    Raises:
        GoTError: a line is not JSON, or its entries are not those of a pair.
    """
    file = folder / PAIRS_FILE
    if not os.path.isfile(file):
        return
    for where, values in read_lines(file, strict=True, most_bytes=MAX_FILE):
        try:
            yield _pair(values)
        except GoTError as error:
            raise GoTError(f"{file}, {where}: {error}") from error


def _pair(values: Any) -> Item:
    if isinstance(values, GoTError):
        raise values
    entries = (*REQUIRED, *OPTIONAL)
    if not isinstance(values, dict) or not set(REQUIRED) <= values.keys() <= set(entries):
        raise GoTError(
            f"Expected an object with image, the result, source, the picture before, and if it is known "
            f"prompt, the instruction; got {short_repr(values)}."
        )
    if not all(isinstance(value, str) and value.strip() for value in values.values()):
        raise GoTError(f"All entries must be texts, got {short_repr(values)}.")
    if "prompt" in values:
        check_prompt(values["prompt"])
    return Item(values["image"], values["source"], values.get("prompt"))


class Keys:
    """A set of keys, eight bytes each."""

    def __init__(self, keys: Iterable[int]) -> None:
        import numpy as np  # here, so that --help comes without it

        self._sorted = np.sort(np.frombuffer(array("Q", keys), dtype=np.uint64))

    def __contains__(self, key: int) -> bool:
        place = bisect_left(self._sorted, key)
        return place < len(self._sorted) and int(self._sorted[place]) == key

    def repeated(self) -> set[int]:
        """The keys that it was given more than once."""
        return {int(key) for key in self._sorted[1:][self._sorted[1:] == self._sorted[:-1]]}


def key_of(image: str, source: str | None = None) -> int:
    r"""The same however a name is spelled: with \ between folders, or accents decomposed."""
    names = [os.path.normpath(name.replace("\\", "/")) for name in (image, source or "")]
    names = [unicodedata.normalize("NFC", name) for name in names]
    digest = hashlib.blake2b("\0".join(names).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
