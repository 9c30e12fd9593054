"""A row as a person reviews it: a picture or a pair, with all its prompts, its plan, and what is doubtful."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..dataset.rows import check_row
from ..errors import GoTError
from .items import key_of


@dataclass(frozen=True)
class ReviewRow:
    """Prompts and chain are empty where there are none yet. `source` is set for edits only.

    `line` is where it begins in its file, from 0, by which rows that say the same are told apart.
    """

    image: str
    source: str | None
    prompts: tuple[str, ...]
    chain: str
    reasons: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)

    @property
    def key(self) -> int:
        """Identifies the picture or the pair."""
        return key_of(self.image, self.source)

    @property
    def digest(self) -> str:
        """Identifies the row with all that it says: 32 hexadecimal digits."""
        content = json.dumps([self.image, self.source, self.prompts, self.chain])
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def as_data(self, folder: Path) -> list[dict[str, Any]]:
        """The rows of `data.jsonl`, one for each prompt.

        Raises:
            GoTError: there is no prompt, or the rows cannot be trained on.
        """
        if not self.prompts:
            raise GoTError(f"There is no prompt for {self.image}: say what the picture shows.")
        rows = [{**self._pictures, "prompt": prompt, "chain": self.chain} for prompt in self.prompts]
        for row in rows:
            check_row("", row, folder)
        return rows

    def as_rejected(self) -> dict[str, Any]:
        """The row of `rejected.jsonl`."""
        known = {"prompts": [*self.prompts], "chain": self.chain, "reasons": [*self.reasons]}
        return {**self._pictures, **known}

    @property
    def _pictures(self) -> dict[str, str]:
        return {"image": self.image} | ({"source": self.source} if self.source else {})


def changed(row: ReviewRow, chain: str | None, prompts: Sequence[str] | None) -> ReviewRow:
    """The row with another chain and other prompts; None: as they are."""
    return replace(
        row,
        chain=row.chain if chain is None else chain,
        prompts=row.prompts if prompts is None else tuple(prompts),
    )


def nearest(rows: Iterable[ReviewRow], line: int) -> ReviewRow | None:
    """Of rows that say the same, in their order, the one at a line or nearest to it: rows move in files."""
    found: ReviewRow | None = None
    for row in rows:
        if found is None or abs(row.line - line) < abs(found.line - line):
            found = row
        if row.line >= line:
            break
    return found
