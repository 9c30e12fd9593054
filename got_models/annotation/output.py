"""The files of an annotation: `data.jsonl`, and `review.jsonl` for what a person has to look at.

Both are only appended to, each item in one piece, so that a process that is killed loses the item it was at
and nothing else. A row of `review.jsonl` is

    {"image": ..., "source": ..., "prompts": [...], "chain": ..., "reasons": [...]}

with what is known of it; `rejected.jsonl` holds those that a person has turned down.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ..dataset.rows import DATA_FILE, read_lines
from ..errors import GoTError
from ..files.exclusive_lock import exclusive_lock
from ..files.text_files import is_utf16
from ..files.whole_files import unwritable
from .items import MAX_FILE, Item, Keys, key_of

REVIEW_FILE, REJECTED_FILE = "review.jsonl", "rejected.jsonl"
LOCK_FILE = ".got-annotate.lock"
CONTINUED = b" \t"
"""Begins a line whose item has another one below; blanks mean nothing in JSON."""
OUR_LINE = b'{"image": "'


class Output:
    """The files of a folder while it is annotated by one process. Open it with `output`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (DATA_FILE, REVIEW_FILE, REJECTED_FILE):
            mend(folder / name)
        self._settled = Keys(keys(folder, DATA_FILE, REJECTED_FILE))
        self._doubtful = Keys(keys(folder, REVIEW_FILE))

    def is_done(self, item: Item) -> bool:
        """Whether an earlier run has an item, in whichever file."""
        return self.is_settled(item.key) or item.key in self._doubtful

    def is_settled(self, key: int) -> bool:
        """Whether an item was in `data.jsonl` or `rejected.jsonl` when this was opened."""
        return key in self._settled

    def write(self, file: str, rows: Sequence[dict[str, Any]]) -> None:
        """Appends an item's rows, all or none.

        Raises:
            UnwritableError: the disk is full, for instance.
        """
        append(self.folder / file, rows)


@contextmanager
def output(folder: Path) -> Iterator[Output]:
    """The files of a folder, for one process at a time.

    Raises:
        GoTError: there is no such folder, or another process annotates or reviews it, or a file there is
            damaged or cannot be written to.
    """
    if not os.path.isdir(folder):
        raise GoTError(f"There is no folder {folder}: give the one that holds the pictures.")
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(f"annotation or review of {folder}", folder / LOCK_FILE))
            files = Output(folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        yield files


def append(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Appends rows in one piece; a file that takes only a part of them is as before.

    Raises:
        UnwritableError: it cannot be written to.
    """
    lines = [encoded(row) + b"\n" for row in rows]
    block = b"".join([CONTINUED + line for line in lines[:-1]] + lines[-1:])
    try:
        with file.open("ab", buffering=0) as target:
            before = target.seek(0, os.SEEK_END)
            try:
                written = target.write(block)
                while written < len(block):  # a disk that is nearly full says so at the second attempt
                    written += target.write(block[written:])
            except OSError:
                with suppress(OSError):  # which would hide the reason
                    target.truncate(before)
                raise
    except OSError as error:
        raise unwritable(file, error) from error


def mend(file: Path) -> None:
    """Cuts from the end of a file what a killed writer left of an item.

    Raises:
        GoTError: it is in UTF-16, or its last line is broken and was not written here.
    """
    if not file.is_file() or not file.stat().st_size:
        return
    with file.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if is_utf16(content[:100]):
            raise GoTError(f"{file} is in UTF-16. Save it as UTF-8, then rows can be added to it.")
        size = end = len(content)
        while end:
            start = content.rfind(b"\n", 0, end - 1) + 1
            line = content[start:end]
            if line.startswith(CONTINUED) or CONTINUED.startswith(line):
                end = start
            elif line.endswith(b"\n") or _is_object(line):
                break
            elif line[: len(OUR_LINE)] == OUR_LINE[: len(line)]:
                end = start
            else:
                raise GoTError(f"The last line of {file} is not JSON. Mend or remove it first.")
        needs_newline = end > 0 and content[end - 1 : end] != b"\n"
    if end < size:
        os.truncate(file, end)
    if needs_newline:
        with file.open("ab") as target:
            target.write(b"\n")


def keys(folder: Path, *files: str) -> Iterator[int]:
    """The keys of all items that these files of a folder hold."""
    for name in files:
        if os.path.isfile(folder / name):
            for _, row in read_lines(folder / name, most_bytes=MAX_FILE):
                if isinstance(row, dict) and isinstance(row.get("image"), str):
                    source = row.get("source")
                    yield key_of(row["image"], source if isinstance(source, str) else None)


def encoded(row: dict[str, Any]) -> bytes:
    """A row as a line, without its end."""
    try:
        return json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a character, as in file names of another encoding
        return json.dumps(row).encode()


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
