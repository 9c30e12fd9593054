"""The judge of drawings that the project did not make tells what was done from what was not."""

from __future__ import annotations

import random

import pytest

from .drawings import CORNERS, GROUNDS, SIDES, Mark, Task, happened, paint, sample_marks, sample_task


def result_of(task: Task) -> list[Mark]:
    """The marks that the task leaves, those that it places in the middle of their quarters."""
    placed = []
    for words, corner in task.placed:
        color, shape = words.split()
        right, down = CORNERS[corner]
        placed.append(Mark(color, shape, 0.25 + right / 2, 0.25 + down / 2, 0.15))
    return [*task.kept, *placed]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_what_was_done_is_told_from_what_was_not(steps: int) -> None:
    rng = random.Random(steps)
    for number in range(12):
        task = sample_task(rng, steps)
        side = SIDES[number % 2]
        assert happened(task, paint(result_of(task), task.ground, side)), task
        assert not happened(task, paint(task.before, task.ground, side)), task


def test_marks_are_seen_as_what_they_are() -> None:
    rng = random.Random(7)
    for number in range(24):
        marks, ground = sample_marks(rng, 1 + number % 4), list(GROUNDS)[number % 4]
        assert happened(Task(marks, ground, "", marks, []), paint(marks, ground, SIDES[number % 3])), marks
