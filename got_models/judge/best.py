"""Best of several: draws until a picture obeys its plan, and keeps the one that follows it most."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .verdict import Verdict

Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Attempt(Generic[Drawn]):
    """What was drawn with a seed, and the verdict on it."""

    seed: int
    drawn: Drawn
    verdict: Verdict


def best_of(
    seeds: Iterable[int], draw: Callable[[int], Drawn], look: Callable[[Drawn], Verdict]
) -> Attempt[Drawn]:
    """Draws with one seed after another until the result obeys; otherwise the one with the highest score.

    Of equal scores the first is kept.

    Args:
        seeds: at least one.
        draw: draws with a seed.
        look: compares the result with its plan.
    """
    attempts: list[Attempt[Drawn]] = []
    for seed in seeds:
        drawn = draw(seed)
        attempts.append(Attempt(seed, drawn, look(drawn)))
        if attempts[-1].verdict.obeyed:
            return attempts[-1]
    return max(attempts, key=lambda attempt: attempt.verdict.score)
