"""Reviewing what is doubtful: a person accepts, changes or rejects the rows of `review.jsonl`.

What is accepted is appended to `data.jsonl`, what is rejected to `rejected.jsonl`; a row that one of these
has counts as settled, so that a process that is killed in between loses no decision. `review.jsonl` itself
is rewritten at the end, without the settled rows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from ..dataset.rows import DATA_FILE
from ..errors import GoTError, printable
from ..files.text_files import read_lines
from ..files.whole_files import whole_file
from .items import MAX_FILE
from .output import REJECTED_FILE, REVIEW_FILE, Output, output
from .review_rows import ReviewRow, changed


class Review:
    """The review of a folder by one process. Open it with `review`."""

    def __init__(self, files: Output) -> None:
        self._files = files
        self._folder = files.folder
        self._settled: set[int] = set()

    def rows(self) -> Iterator[ReviewRow]:
        """The rows that nobody has decided on yet, in the order of the file."""
        for _, row in _lines(self._folder):
            if row and not self._is_settled(row.key):
                yield row

    def accept(self, row: ReviewRow, chain: str | None = None, prompts: Sequence[str] | None = None) -> None:
        """Moves a row to `data.jsonl`, as it is or changed.

        Raises:
            GoTError: it is settled already, or cannot be trained on; nothing is written.
            UnwritableError: the disk is full, for instance.
        """
        self._check_open(row)
        self._files.write(DATA_FILE, changed(row, chain, prompts).as_data(self._folder))
        self._settled.add(row.key)

    def reject(self, row: ReviewRow) -> None:
        """Moves a row to `rejected.jsonl`: it is neither trained on nor annotated again.

        Raises:
            GoTError: it is settled already.
            UnwritableError: the disk is full, for instance.
        """
        self._check_open(row)
        self._files.write(REJECTED_FILE, [row.as_rejected()])
        self._settled.add(row.key)

    def tidy(self) -> None:
        """Rewrites `review.jsonl` without the settled rows; other lines stay as they are.

        Raises:
            UnwritableError: the disk is full, for instance; the old file is untouched.
        """
        if all(self._stays(row) for _, row in _lines(self._folder)):
            return
        with whole_file(self._folder / REVIEW_FILE) as temporary, temporary.open("wb") as target:
            target.writelines(line + b"\n" for line, row in _lines(self._folder) if self._stays(row))

    def _stays(self, row: ReviewRow | None) -> bool:
        return row is None or not self._is_settled(row.key)

    def _is_settled(self, key: int) -> bool:
        return key in self._settled or self._files.is_settled(key)

    def _check_open(self, row: ReviewRow) -> None:
        if self._is_settled(row.key):
            raise GoTError(f"{row.image} has been decided on already.")


@contextmanager
def review(folder: Path) -> Iterator[Review]:
    """The review of a folder; at its end `review.jsonl` is tidied.

    Raises:
        GoTError: no such folder, or another process annotates or reviews it.
    """
    with output(folder) as files:
        current = Review(files)
        try:
            yield current
        finally:
            current.tidy()


def report(folder: Path, most: int = 10) -> str:
    """The first doubtful rows of a folder, one per line with the reasons; empty if there is none."""
    doubtful = (row for _, row in _lines(folder) if row)
    return printable("\n".join(f"{row.image}: {' '.join(row.reasons)}" for row in islice(doubtful, most)))


def _lines(folder: Path) -> Iterator[tuple[bytes, ReviewRow | None]]:
    """Each line of `review.jsonl`, and the row that it holds; None for what is no row of ours."""
    file = folder / REVIEW_FILE
    if os.path.isfile(file):
        yield from ((line, _row(line)) for line in read_lines(file, MAX_FILE))


def _row(line: bytes) -> ReviewRow | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("image"), str):
        return None
    source, chain = row.get("source"), row.get("chain")
    return ReviewRow(
        row["image"],
        source if isinstance(source, str) else None,
        _texts(row.get("prompts")),
        chain if isinstance(chain, str) else "",
        _texts(row.get("reasons")),
    )


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()
