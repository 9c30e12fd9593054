"""Which rows of the stream a stage's step sees."""

from __future__ import annotations

import random

from ...world.language import nudged
from ..data import Example, anywhere_edit_example, edit_example, generation_example

LATER = 1_000_000
"""Offset of the joint stage's rows, so that its generations differ from the language stage's."""


def drawn_example(task: str, seed: int, row: int) -> Example:
    """Row ``row`` of the task's stream; every second generation is off the grid, as moved boxes are."""
    if task == "edit":
        return edit_example(seed, row)
    example = generation_example(seed, row)
    return nudged(random.Random(f"nudge {seed} {row}"), example) if off_grid(task, row) else example


def off_grid(task: str, row: int) -> bool:
    """Whether ``drawn_example`` is off the grid."""
    return task == "generate" and row % 2 == 1


def fresh_rows(seed: int, step: int, generations: int, edits: int) -> list[list[Example]]:
    """The rows of one step that no earlier step has seen: generations and edits."""
    return [
        [generation_example(seed, step * generations + row) for row in range(generations)],
        [fresh_edit_example(seed, step * edits + row) for row in range(edits)],
    ]


def fresh_edit_example(seed: int, row: int) -> Example:
    """A new edit; every third has a source with the layout of generated pictures."""
    return anywhere_edit_example(seed, row) if row % 3 == 0 else edit_example(seed, row)
