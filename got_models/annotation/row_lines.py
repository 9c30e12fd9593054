r"""The lines of `review.jsonl` and `data.jsonl`, and which of them are one row.

In `review.jsonl` each line is a row. In `data.jsonl` lines below each other that differ in nothing but their
prompts are one row, unless blanks at their beginning, which mean nothing in JSON, say otherwise:

    CONTINUED    the row goes on with the line below, and ends with the first line that is not marked so
    APART        the line begins a row of its own
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..dataset.rows import DATA_FILE
from ..files.text_files import read_lines
from .items import MAX_FILE
from .review_rows import ReviewRow

CONTINUED, APART = b" \t", b"\t"


@dataclass(frozen=True)
class Group:
    """The lines of a row, without their ends; or, where `row` is None, a line that is no row of ours."""

    lines: Sequence[bytes]
    row: ReviewRow | None


def groups(file: Path) -> Iterator[Group]:
    """All lines of a file in their order; none of a file that is not there."""
    if not os.path.isfile(file):
        return
    of_data = file.name == DATA_FILE
    lines: list[bytes] = []
    row: ReviewRow | None = None
    for number, line in enumerate(read_lines(file, MAX_FILE)):
        one = accepted_row(line) if of_data else doubtful_row(line)
        if of_data and row and one and is_same_plan(row, one) and _continues(lines, line):
            lines.append(line)
            row = replace(row, prompts=row.prompts + one.prompts)
            continue
        if lines:
            yield Group(lines, row)
        lines, row = [line], one and replace(one, line=number)
    if lines:
        yield Group(lines, row)


def rewritten(file: Path, taken: ReviewRow, instead: Group | None = None) -> Iterator[bytes]:
    """The lines of a file, with their ends, without one of its rows or with another in its place.

    No row becomes one with its new neighbour, and none looks like the rest of what a killed writer left.
    """
    above: Group | None = None
    for group in groups(file):
        if group.row and group.row.line == taken.line:
            if not instead:
                continue
            group = instead
        lines = [*group.lines[:-1], group.lines[-1].removeprefix(CONTINUED)]
        if above and above.row and group.row and is_same_plan(above.row, group.row):
            lines = set_apart(above.lines, lines)
        yield from (line + b"\n" for line in lines)
        above = Group(lines, group.row)


def set_apart(above: Sequence[bytes], lines: Sequence[bytes]) -> list[bytes]:
    """The lines of a row, marked if they would be read as one with those of the same plan above them."""
    apart = lines[0].startswith(APART) or not _continues(above, lines[0])
    return [*lines] if apart else [APART + lines[0], *lines[1:]]


def is_same_plan(one: ReviewRow, other: ReviewRow) -> bool:
    """Whether two rows differ in nothing but their prompts."""
    return (one.image, one.source, one.chain) == (other.image, other.source, other.chain)


def marked(rows: Sequence[dict[str, Any]]) -> list[bytes]:
    """The lines of a row, without their ends."""
    lines = [encoded(row) for row in rows]
    return [*(CONTINUED + line for line in lines[:-1]), *lines[-1:]]


def encoded(row: dict[str, Any]) -> bytes:
    """A row as a line, without its end."""
    try:
        return json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a character, as in file names of another encoding
        return json.dumps(row).encode()


def accepted_row(line: bytes) -> ReviewRow | None:
    """The row of a line of `data.jsonl`; None also for one with entries of its own, which would be lost."""
    row = _object(line)
    names = {"image", "prompt", "chain"}
    if row is None or not names <= row.keys() <= {*names, "source"}:
        return None
    if not all(isinstance(value, str) for value in row.values()):
        return None
    return ReviewRow(row["image"], row.get("source"), (row["prompt"],), row["chain"])


def doubtful_row(line: bytes) -> ReviewRow | None:
    """The row of a line of `review.jsonl` or `rejected.jsonl`, with what can be read of it."""
    row = _object(line)
    if row is None or not isinstance(row.get("image"), str):
        return None
    source, chain = row.get("source"), row.get("chain")
    return ReviewRow(
        row["image"],
        source if isinstance(source, str) else None,
        _texts(row.get("prompts")),
        chain if isinstance(chain, str) else "",
        _texts(row.get("reasons")),
    )


def _continues(lines: Sequence[bytes], line: bytes) -> bool:
    """Whether a line of the same plan is read as one row with the lines above it."""
    if lines[0].startswith(CONTINUED):
        return lines[-1].startswith(CONTINUED)
    return not line.startswith((CONTINUED, APART))


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()
