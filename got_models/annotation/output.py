"""The files of an annotation: `data.jsonl`, and `review.jsonl` for what a person has to look at.

Items are appended, each in one piece, so that a process that is killed loses the item it was at and nothing
else. A row of `review.jsonl` is

    {"image": ..., "source": ..., "prompts": [...], "chain": ..., "reasons": [...]}

with what is known of it; `rejected.jsonl` holds those that a person has turned down.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ..dataset.bundled import check_not_bundled
from ..dataset.rows import DATA_FILE
from ..errors import GoTError
from ..files.exclusive_lock import exclusive_lock
from ..files.json_objects import read_json
from ..files.text_files import is_utf16
from ..files.whole_files import UnwritableError, unwritable, whole_file, write_whole
from .review_rows import ReviewRow
from .row_lines import (
    APART,
    CONTINUED,
    Group,
    accepted_row,
    groups,
    is_same_plan,
    marked,
    rewritten,
    set_apart,
)

REVIEW_FILE, REJECTED_FILE = "review.jsonl", "rejected.jsonl"
LOCK_FILE = ".got-annotate.lock"
MOVE_FILE = ".got-move.json"
OUR_LINE = b'{"image": "'


class Output:
    """The files of a folder, for one process. Open it with `output`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (DATA_FILE, REVIEW_FILE, REJECTED_FILE):
            mend(folder / name)
        finish_move(folder)

    def rows(self, file: str) -> Iterator[ReviewRow]:
        """The rows of a file, in their order."""
        return (group.row for group in groups(self.folder / file) if group.row)

    def write(self, file: str, rows: Sequence[dict[str, Any]]) -> None:
        """Appends an item's rows, all or none.

        Raises:
            UnwritableError: the disk is full, for instance.
        """
        append(self.folder / file, rows)

    def replace(self, row: ReviewRow, file: str, rows: Sequence[dict[str, Any]]) -> None:
        """Puts an item's rows in the place of a row.

        Raises:
            UnwritableError: the disk is full, for instance; the old file is untouched.
        """
        lines = marked(rows)
        first = accepted_row(lines[0])
        with whole_file(self.folder / file) as temporary:
            _write(temporary, rewritten(self.folder / file, row, Group(lines, first)))

    def move(self, row: ReviewRow, source: str, target: str, rows: Sequence[dict[str, Any]]) -> None:
        """Takes a row out of a file and appends it, as `rows` say, to another: both, or neither.

        Of a process that is killed in between, the next one that opens the folder finishes the move.

        Raises:
            UnwritableError: the disk is full, for instance.
        """
        here, there = self.folder / source, self.folder / target
        before = _size(there)
        block = _block(there, rows)
        move = {"source": source, "line": row.line, "source_size": _size(here)}
        move |= {"target": target, "target_size": before + len(block)}
        try:
            with whole_file(here) as temporary:
                _write(temporary, rewritten(here, row))
                write_whole(self.folder / MOVE_FILE, json.dumps(move).encode())
                _append(there, block)
        except UnwritableError:
            with suppress(OSError):
                if _size(there) > before:
                    os.truncate(there, before)
                (self.folder / MOVE_FILE).unlink()
            raise
        (self.folder / MOVE_FILE).unlink()


@contextmanager
def output(folder: Path) -> Iterator[Output]:
    """The files of a folder, for one process at a time.

    Raises:
        GoTError: there is no such folder, or it is bundled, or another process annotates or reviews it, or a
            file there is damaged or cannot be written to.
    """
    if not os.path.isdir(folder):
        raise GoTError(f"There is no folder {folder}: give the one that holds the pictures.")
    for place in (folder, *(folder / name for name in (DATA_FILE, REVIEW_FILE, REJECTED_FILE))):
        check_not_bundled(place)
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive_lock(f"annotation or review of {folder}", folder / LOCK_FILE))
            files = Output(folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        yield files


def append(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Appends an item's rows in one piece; a file that takes only a part of them is as before.

    Raises:
        UnwritableError: it cannot be written to.
    """
    _append(file, _block(file, rows))


def finish_move(folder: Path) -> None:
    """Takes out of its file what a killed process has already written into another one.

    Raises:
        UnwritableError: the disk is full, for instance.
    """
    file = folder / MOVE_FILE
    if not os.path.isfile(file):
        return
    try:
        move = read_json(file)
    except GoTError:
        move = {}
    source, target = move.get("source"), move.get("target")
    if source in (REVIEW_FILE, DATA_FILE) and target in (DATA_FILE, REJECTED_FILE):
        sizes = [_size(folder / name) for name in (source, target)]
        if sizes == [move.get("source_size"), move.get("target_size")]:
            _take_out(folder / source, move.get("line"))
    file.unlink()


def _take_out(file: Path, line: Any) -> None:
    row = next((group.row for group in groups(file) if group.row and group.row.line == line), None)
    if row:
        with whole_file(file) as temporary:
            _write(temporary, rewritten(file, row))


def _block(file: Path, rows: Sequence[dict[str, Any]]) -> bytes:
    """What is appended to a file for an item's rows, so that they do not become one with the row above."""
    lines = marked(rows)
    above = _last_line(file) if file.name == DATA_FILE else b""
    one, other = accepted_row(above), accepted_row(lines[0])
    if one and other and is_same_plan(one, other):
        lines = set_apart([above], lines)
    return b"".join(line + b"\n" for line in lines)


def _last_line(file: Path) -> bytes:
    """The last line of a file, without its end."""
    if not _size(file):
        return b""
    with file.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content[content.rfind(b"\n", 0, len(content) - 1) + 1 :].rstrip(b"\r\n")


def _append(file: Path, block: bytes) -> None:
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


def _write(file: Path, lines: Iterable[bytes]) -> None:
    with file.open("wb") as target:
        target.writelines(lines)


def _size(file: Path) -> int:
    """In bytes; 0 where there is no such file."""
    return file.stat().st_size if file.is_file() else 0


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
            begun = line.removeprefix(APART)
            if line.startswith(CONTINUED) or CONTINUED.startswith(line):
                end = start
            elif line.endswith(b"\n") or _is_object(line):
                break
            elif begun[: len(OUR_LINE)] == OUR_LINE[: len(begun)]:
                end = start
            else:
                raise GoTError(f"The last line of {file} is not JSON. Mend or remove it first.")
        needs_newline = end > 0 and content[end - 1 : end] != b"\n"
    if end < size:
        os.truncate(file, end)
    if needs_newline:
        with file.open("ab") as target:
            target.write(b"\n")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
