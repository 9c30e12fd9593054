"""What was made of many prompts, as rates by the kind of task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .markdown import plain

Row = Mapping[str, Any]
"""The result of a prompt: "tag", "ended", "plan", "picture", "obeyed", each true, false or null."""
COLUMNS = {"plan": "plans as asked", "picture": "pictures as asked", "obeyed": "pictures as planned"}


def figures(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """For every tag, and for the mean of all tags, the rate of each column and on how many it was measured.

    The mean is that of the tags' rates, as in GenEval's overall score.
    """
    by_tag = {
        tag: {name: _rate([row[name] for row in rows if row["tag"] == tag]) for name in COLUMNS}
        for tag in dict.fromkeys(row["tag"] for row in rows)
    }
    overall = {name: _mean([of_tag[name] for of_tag in by_tag.values()]) for name in COLUMNS}
    return {**by_tag, "overall": overall}


def table(found: Mapping[str, Mapping[str, Mapping[str, float | int | None]]]) -> str:
    """The figures as a table in Markdown."""
    lines = [f"| | {' | '.join(COLUMNS.values())} |", "|---|" + "---|" * len(COLUMNS)]
    for tag, of_tag in found.items():
        cells = [_cell(of_tag[name]) for name in COLUMNS]
        lines.append(f"| {plain(tag)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _rate(values: Sequence[bool | None]) -> dict[str, float | int | None]:
    known = [value for value in values if value is not None]
    return {"value": sum(known) / len(known) if known else None, "count": len(known)}


def _mean(rates: Sequence[Mapping[str, float | int | None]]) -> dict[str, float | int | None]:
    values = [rate["value"] for rate in rates if rate["value"] is not None]
    return {
        "value": sum(values) / len(values) if values else None,
        "count": sum(rate["count"] or 0 for rate in rates),
    }


def _cell(rate: Mapping[str, float | int | None]) -> str:
    return "-" if rate["value"] is None else f"{rate['value']:.3f} of {rate['count']}"
