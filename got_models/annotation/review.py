"""Reviewing what is doubtful: a person accepts, changes or rejects the rows of `review.jsonl`.

What is accepted goes to `data.jsonl`, what is rejected to `rejected.jsonl`, at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from ..dataset.rows import DATA_FILE
from ..errors import GoTError, printable
from .output import REJECTED_FILE, REVIEW_FILE, Output, output
from .review_rows import ReviewRow, changed, nearest
from .row_lines import groups


class Review:
    """The review of a folder by one process. Open it with `review`."""

    def __init__(self, files: Output) -> None:
        self._files = files

    def rows(self) -> Iterator[ReviewRow]:
        """The rows that nobody has decided on yet, in the order of the file."""
        return self._files.rows(REVIEW_FILE)

    def accept(self, row: ReviewRow, chain: str | None = None, prompts: Sequence[str] | None = None) -> None:
        """Moves a row to `data.jsonl`, as it is or changed.

        Raises:
            GoTError: it is decided on already, or cannot be trained on; nothing is written.
            UnwritableError: the disk is full, for instance; nothing is written.
        """
        here = self._found(row)
        data = changed(here, chain, prompts).as_data(self._files.folder)
        self._files.move(here, REVIEW_FILE, DATA_FILE, data)

    def reject(self, row: ReviewRow) -> None:
        """Moves a row to `rejected.jsonl`: it is neither trained on nor annotated again.

        Raises:
            GoTError: it is decided on already.
            UnwritableError: the disk is full, for instance; nothing is written.
        """
        here = self._found(row)
        self._files.move(here, REVIEW_FILE, REJECTED_FILE, [here.as_rejected()])

    def _found(self, row: ReviewRow) -> ReviewRow:
        found = nearest((one for one in self.rows() if one == row), row.line)
        if found is None:
            raise GoTError(f"{row.image} has been decided on already.")
        return found


@contextmanager
def review(folder: Path) -> Iterator[Review]:
    """The review of a folder.

    Raises:
        GoTError: no such folder, or another process annotates or reviews it.
    """
    with output(folder) as files:
        yield Review(files)


def report(folder: Path, most: int = 10) -> str:
    """The first doubtful rows of a folder, one per line with the reasons; empty if there is none."""
    doubtful = (group.row for group in groups(folder / REVIEW_FILE) if group.row)
    return printable("\n".join(f"{row.image}: {' '.join(row.reasons)}" for row in islice(doubtful, most)))
