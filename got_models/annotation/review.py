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
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ..dataset.rows import DATA_FILE, check_row
from ..errors import GoTError
from ..files.text_files import read_lines
from ..files.whole_files import whole_file
from .items import MAX_FILE, key_of
from .output import REJECTED_FILE, REVIEW_FILE, Output, output


@dataclass(frozen=True)
class Doubtful:
    """A row of `review.jsonl`; prompts and chain are empty where there are none yet."""

    image: str
    source: str | None
    prompts: tuple[str, ...]
    chain: str
    reasons: tuple[str, ...]

    @property
    def key(self) -> int:
        return key_of(self.image, self.source)


class Review:
    """The review of a folder by one process. Open it with `review`."""

    def __init__(self, files: Output) -> None:
        self._files = files
        self._folder = files.folder
        self._settled: set[int] = set()

    def waiting(self) -> Iterator[Doubtful]:
        """The rows that nobody has decided on yet, in the order of the file."""
        for _, doubtful in _lines(self._folder):
            if doubtful and not self._is_settled(doubtful.key):
                yield doubtful

    def accept(
        self, doubtful: Doubtful, chain: str | None = None, prompts: Sequence[str] | None = None
    ) -> None:
        """Moves a row to `data.jsonl`, as it is or changed.

        Raises:
            GoTError: it is settled already, or cannot be trained on; nothing is written.
            UnwritableError: the disk is full, for instance.
        """
        self._check_open(doubtful)
        names = {"source": doubtful.source} if doubtful.source else {}
        text = doubtful.chain if chain is None else chain
        rows = [
            {"image": doubtful.image, "prompt": prompt, "chain": text, **names}
            for prompt in (doubtful.prompts if prompts is None else prompts)
        ]
        if not rows:
            raise GoTError(f"There is no prompt for {doubtful.image}: say what the picture shows.")
        for row in rows:
            check_row("", row, self._folder)
        self._files.write(DATA_FILE, rows)
        self._settled.add(doubtful.key)

    def reject(self, doubtful: Doubtful) -> None:
        """Moves a row to `rejected.jsonl`: it is neither trained on nor annotated again.

        Raises:
            GoTError: it is settled already.
            UnwritableError: the disk is full, for instance.
        """
        self._check_open(doubtful)
        names = {"source": doubtful.source} if doubtful.source else {}
        known = {"prompts": [*doubtful.prompts], "chain": doubtful.chain, "reasons": [*doubtful.reasons]}
        self._files.write(REJECTED_FILE, [{"image": doubtful.image, **names, **known}])
        self._settled.add(doubtful.key)

    def tidy(self) -> None:
        """Rewrites `review.jsonl` without the settled rows; other lines stay as they are.

        Raises:
            UnwritableError: the disk is full, for instance; the old file is untouched.
        """
        if all(self._stays(doubtful) for _, doubtful in _lines(self._folder)):
            return
        with whole_file(self._folder / REVIEW_FILE) as temporary, temporary.open("wb") as target:
            target.writelines(
                line + b"\n" for line, doubtful in _lines(self._folder) if self._stays(doubtful)
            )

    def _stays(self, doubtful: Doubtful | None) -> bool:
        return doubtful is None or not self._is_settled(doubtful.key)

    def _is_settled(self, key: int) -> bool:
        return key in self._settled or self._files.is_settled(key)

    def _check_open(self, doubtful: Doubtful) -> None:
        if self._is_settled(doubtful.key):
            raise GoTError(f"{doubtful.image} has been decided on already.")


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
    return "\n".join(f"{row.image}: {' '.join(row.reasons)}" for row in islice(doubtful, most))


def _lines(folder: Path) -> Iterator[tuple[bytes, Doubtful | None]]:
    """Each line of `review.jsonl`, and the row that it holds; None for what is no row of ours."""
    file = folder / REVIEW_FILE
    if os.path.isfile(file):
        yield from ((line, _doubtful(line)) for line in read_lines(file, MAX_FILE))


def _doubtful(line: bytes) -> Doubtful | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("image"), str):
        return None
    source, chain = row.get("source"), row.get("chain")
    return Doubtful(
        row["image"],
        source if isinstance(source, str) else None,
        _texts(row.get("prompts")),
        chain if isinstance(chain, str) else "",
        _texts(row.get("reasons")),
    )


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()
