"""Reviewing what is accepted: a person looks at the rows of `data.jsonl` again, changes or rejects them.

Each change rewrites the file whole. A rejected row is put into `rejected.jsonl` first, so that a process that
is killed in between loses nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..dataset.rows import DATA_FILE
from ..errors import GoTError
from ..files.text_files import read_lines
from ..files.whole_files import whole_file
from .items import MAX_FILE
from .output import CONTINUED, REJECTED_FILE, Output, encoded, output
from .review_rows import ReviewRow, changed


class Revision:
    """The revision of a folder by one process. Open it with `revision`."""

    def __init__(self, files: Output) -> None:
        self._files = files
        self._folder = files.folder

    def rows(self) -> Iterator[ReviewRow]:
        """All rows, in the order of the file; rows below each other that differ in their prompts are one."""
        for _, row in _groups(self._folder):
            if row:
                yield row

    def accept(
        self, row: ReviewRow, chain: str | None = None, prompts: Sequence[str] | None = None
    ) -> ReviewRow:
        """Keeps a row, as it is or changed -> what it is now.

        Raises:
            GoTError: it is no longer there, or cannot be trained on; nothing is written.
            UnwritableError: the disk is full, for instance; the old file is untouched.
        """
        new = changed(row, chain, prompts)
        data = new.as_data(self._folder)
        if new != row:
            self._replace(row, data)
        return new

    def reject(self, row: ReviewRow) -> None:
        """Moves a row to `rejected.jsonl`.

        Raises:
            GoTError: it is no longer there.
            UnwritableError: the disk is full, for instance; the row stays.
        """
        self._check_there(row)
        self._files.write(REJECTED_FILE, [row.as_rejected()])
        self._replace(row, [])

    def _replace(self, row: ReviewRow, data: Sequence[dict[str, Any]]) -> None:
        """Rewrites the file with other rows in the place of one."""
        self._check_there(row)
        replaced = False
        with whole_file(self._folder / DATA_FILE) as temporary, temporary.open("wb") as target:
            for lines, found in _groups(self._folder):
                if found == row and not replaced:
                    lines, replaced = [encoded(entry) for entry in data], True
                # What marks a line as continued below would make the next one be taken for cut off.
                target.writelines(line.removeprefix(CONTINUED) + b"\n" for line in lines)

    def _check_there(self, row: ReviewRow) -> None:
        if row not in self.rows():
            raise GoTError(f"{row.image} is no longer in {DATA_FILE} as it was shown.")


@contextmanager
def revision(folder: Path) -> Iterator[Revision]:
    """The revision of a folder.

    Raises:
        GoTError: no such folder, or another process annotates or reviews it.
    """
    with output(folder) as files:
        yield Revision(files)


def _groups(folder: Path) -> Iterator[tuple[list[bytes], ReviewRow | None]]:
    """The lines of `data.jsonl`, those of one row together; None for a line that is no row."""
    file = folder / DATA_FILE
    lines: list[bytes] = []
    row: ReviewRow | None = None
    for line in read_lines(file, MAX_FILE) if os.path.isfile(file) else ():
        one = _row(line)
        if row and one and replace(row, prompts=()) == replace(one, prompts=()):
            lines.append(line)
            row = replace(row, prompts=row.prompts + one.prompts)
        else:
            if lines:
                yield lines, row
            lines, row = [line], one
    if lines:
        yield lines, row


def _row(line: bytes) -> ReviewRow | None:
    """None also for a row with entries of its own, which would be lost."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    names = {"image", "prompt", "chain"}
    if not isinstance(row, dict) or not names <= row.keys() <= {*names, "source"}:
        return None
    if not all(isinstance(value, str) for value in row.values()):
        return None
    return ReviewRow(row["image"], row.get("source"), (row["prompt"],), row["chain"])
