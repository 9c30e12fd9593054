"""Drawing until a picture obeys its plan."""

from __future__ import annotations

from got_models.chain.chain import Box
from got_models.judge.best import best_of
from got_models.judge.verdict import Judged, Verdict

PLANNED = Box(0, 0, 500, 500)
OVERLAPS = {0: Box(0, 0, 100, 100), 1: Box(0, 0, 200, 200), 2: PLANNED, 3: PLANNED}


def look(seed: int) -> Verdict:
    return Verdict((Judged("a star", PLANNED, OVERLAPS[seed]),))


def test_the_first_picture_that_obeys_ends_the_search() -> None:
    drawn: list[int] = []

    def draw(seed: int) -> int:
        drawn.append(seed)
        return seed

    assert best_of(range(4), draw, look).seed == 2
    assert drawn == [0, 1, 2]


def test_without_one_that_obeys_the_highest_score_is_kept() -> None:
    best = best_of([0, 1], lambda seed: seed, look)
    assert best.seed == 1 and not best.verdict.obeyed


def test_of_equal_scores_the_first_is_kept() -> None:
    assert best_of([7, 8], lambda seed: seed, lambda _: Verdict((Judged("a star", PLANNED, None),))).seed == 7
