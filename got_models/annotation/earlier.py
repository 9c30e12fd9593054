"""What earlier runs have annotated, and what is left to do.

A pair may be listed several times, with another instruction each time. Its rows are then told apart by their
instructions. A row that has none of those was written where none is listed, or a person has changed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..chain.characters import clean
from ..dataset.rows import DATA_FILE
from .items import Item, Keys, items, pairs
from .output import REJECTED_FILE, REVIEW_FILE, Output
from .review_rows import ReviewRow
from .row_lines import doubtful_row, groups


class Earlier:
    """The work of earlier runs in a folder, as it was when this was made."""

    def __init__(self, files: Output) -> None:
        self._folder = files.folder
        repeated = Keys(pair.key for pair in pairs(self._folder)).repeated()
        listed: dict[int, list[str | None]] = {key: [] for key in repeated}
        for pair in pairs(self._folder):
            if pair.key in listed:
                listed[pair.key].append(pair.prompt)
        found: dict[int, list[ReviewRow]] = {key: [] for key in repeated}
        self._keys = Keys(self._each_key(found))
        self._left = {key: left_of(prompts, found[key]) for key, prompts in listed.items()}

    def left(self) -> Iterator[Item]:
        """What is not done, in the order of `items`."""
        come: Counter[int] = Counter()
        for item in items(self._folder):
            if item.key not in self._left:
                if item.key not in self._keys:
                    yield item
                continue
            if come[item.key] in self._left[item.key]:
                yield item
            come[item.key] += 1

    def _each_key(self, found: dict[int, list[ReviewRow]]) -> Iterator[int]:
        """The key of each row; the rows themselves are put into `found`, where that has their key."""
        for file in (DATA_FILE, REVIEW_FILE, REJECTED_FILE):
            for group in groups(self._folder / file):
                row = group.row or doubtful_row(group.lines[0])
                if row:
                    if row.key in found:
                        found[row.key].append(row)
                    yield row.key


def left_of(listed: Sequence[str | None], rows: Sequence[ReviewRow]) -> set[int]:
    """Which of the times that a pair is listed have no row yet, counted from 0.

    Args:
        listed: the instruction of each time; None: it has none.
    """
    unmatched = list(rows)
    left: list[int] = []
    for number, prompt in enumerate(listed):
        same = next((row for row in unmatched if prompt and _holds(row, prompt)), None)
        if same:
            unmatched.remove(same)
        else:
            left.append(number)
    left.sort(key=lambda number: listed[number] is not None)
    return set(left[len(unmatched) :])


def _holds(row: ReviewRow, prompt: str) -> bool:
    return clean(prompt) in map(clean, row.prompts)
