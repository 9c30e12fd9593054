"""Figures as tables, and pictures on contact sheets."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from got_models.chain.chain import ReasoningChain
from got_models.chain.layout import contact_sheet, draw_layout, side_by_side
from got_models.files.whole_files import write_files

from ..world.language import Example
from ..world.scoring import expected_objects, score_picture, score_plan

SHEET_ROWS = 24
"""How many examples the contact sheet shows, and how many failures at most."""

Figure = dict[str, Any]
"""``value``, the ``count`` it was measured on, and the ``bar`` that it has to reach (None: there is none)."""
Figures = dict[str, Any]
"""Figures by name, possibly in groups."""
Row = tuple[str, Image.Image]
"""Title and picture of one row of a contact sheet."""


# --- figures --------------------------------------------------------------------------------------


def rate(hits: Sequence[bool], bar: float | None = None) -> Figure:
    """The share of hits; None if the list is empty."""
    return {"value": sum(hits) / len(hits) if hits else None, "count": len(hits), "bar": bar}


def table(figures: Figures, indent: str = "") -> str:
    """All figures as lines of text; the rows of the ablation side by side."""
    lines = []
    for name, value in figures.items():
        label = f"{indent}{name.replace('_', ' ')}"
        if isinstance(value, dict) and "full" in value:
            columns = list(value["full"])
            lines.append(f"{label:32}" + "".join(f"{column:>10}" for column in columns))
            for variant, row in value.items():
                cells = "".join(f"{shown(row[column]['value']):>10}" for column in columns)
                lines.append(f"{'  ' + variant.replace('_', ' '):32}{cells}")
        elif isinstance(value, dict) and "bar" in value:
            lines.append(f"{label:32}{shown(value['value']):>10}  of {value['count']}{verdict(value)}")
        elif isinstance(value, dict):
            lines += [label, table(value, indent + "  ")]
        else:
            lines.append(f"{label:32}{value!s:>10}")
    return "\n".join(lines)


def shown(value: float | None) -> str:
    """A figure with three decimals; a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def verdict(figure: Figure) -> str:
    """Whether a figure reaches its bar, in words; empty when it has no bar."""
    if figure["bar"] is None:
        return ""
    reached = figure["value"] is not None and figure["value"] >= figure["bar"]
    return f", bar {figure['bar']:g}: {'reached' if reached else 'MISSED'}"


def write_results(out: Path, figures: Figures, rows: Sequence[Row], failures: Sequence[Row]) -> None:
    """Writes figures.json and the contact sheets."""
    files = {"figures.json": (json.dumps(figures, indent=2) + "\n").encode()}
    for name, sheet in (("contact_sheet.png", rows), ("failures.png", spread(failures))):
        if sheet:
            picture = io.BytesIO()
            contact_sheet(sheet).save(picture, "PNG")
            files[name] = picture.getvalue()
    write_files(out, files)
    if not failures:
        (out / "failures.png").unlink(missing_ok=True)


def plan_row(chain: ReasoningChain, picture: Image.Image, before_title: str = "") -> Row:
    """The plan next to its picture."""
    return (before_title + chain.prompt, side_by_side(draw_layout(chain, None, picture.size), picture))


def failed_rows(
    examples: Sequence[Example], chains: Sequence[ReasoningChain], pictures: Sequence[Image.Image]
) -> list[Row]:
    """The plans that do not match their caption, and the pictures that do not show their plan."""
    return [
        plan_row(chain, picture)
        for example, chain, picture in zip(examples, chains, pictures, strict=True)
        if not (
            score_plan(chain, example.request).valid
            and score_picture(picture, expected_objects(chain)).all_right
        )
    ]


def spread(rows: Sequence[Row]) -> list[Row]:
    """At most ``SHEET_ROWS`` rows, evenly spaced, so that every kind of failure is shown."""
    step = max(1, math.ceil(len(rows) / SHEET_ROWS))
    return list(rows[::step])
