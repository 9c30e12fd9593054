"""Reviewing what is accepted: a person looks at the rows of `data.jsonl` again, changes or rejects them.

Each decision rewrites the file whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..dataset.rows import DATA_FILE
from ..errors import GoTError
from .output import REJECTED_FILE, Output, output
from .review_rows import ReviewRow, changed, nearest


class Revision:
    """The revision of a folder by one process. Open it with `revision`."""

    def __init__(self, files: Output) -> None:
        self._files = files

    def rows(self) -> Iterator[ReviewRow]:
        """All rows, in the order of the file; several prompts for one plan, below each other, are one row."""
        return self._files.rows(DATA_FILE)

    def accept(
        self, row: ReviewRow, chain: str | None = None, prompts: Sequence[str] | None = None
    ) -> ReviewRow:
        """Keeps a row, as it is or changed -> what it is now.

        Raises:
            GoTError: it is no longer there, or cannot be trained on; nothing is written.
            UnwritableError: the disk is full, for instance; the old file is untouched.
        """
        here = self._found(row)
        new = changed(here, chain, prompts)
        data = new.as_data(self._files.folder)
        if new != here:
            self._files.replace(here, DATA_FILE, data)
        return new

    def reject(self, row: ReviewRow) -> None:
        """Moves a row to `rejected.jsonl`.

        Raises:
            GoTError: it is no longer there.
            UnwritableError: the disk is full, for instance; nothing is written.
        """
        here = self._found(row)
        self._files.move(here, DATA_FILE, REJECTED_FILE, [here.as_rejected()])

    def _found(self, row: ReviewRow) -> ReviewRow:
        found = nearest((one for one in self.rows() if one == row), row.line)
        if found is None:
            raise GoTError(f"{row.image} is no longer in {DATA_FILE} as it was shown.")
        return found


@contextmanager
def revision(folder: Path) -> Iterator[Revision]:
    """The revision of a folder.

    Raises:
        GoTError: no such folder, or another process annotates or reviews it.
    """
    with output(folder) as files:
        yield Revision(files)
