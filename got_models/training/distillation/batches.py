"""Batches of a distillation: what the teacher has drawn, in an order that depends only on seed and number."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache

from .prompts import PlanRequest
from .student import WalkBatch
from .teacher import Teacher, joined


class WalkBatches:
    """An endless, numbered sequence of batches: every plan with every noise once per pass."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self.noises = teacher.config.distill.noises_per_plan
        self.groups = list(teacher.groups())
        self.seed = teacher.config.seed

    def drawings(self) -> Iterator[tuple[Sequence[PlanRequest], int]]:
        """The plans of each batch, and which of their noises it uses."""
        for noise in range(self.noises):
            yield from ((group, noise) for group in self.groups)

    def __getitem__(self, number: int) -> WalkBatch:
        count = len(self.groups) * self.noises
        place = order_of_pass(count, self.seed, number // count)[number % count]
        group, noise = self.groups[place % len(self.groups)], place // len(self.groups)
        guidance = joined([self.teacher.guidance(request) for request in group])
        return WalkBatch(guidance, self.teacher.walks(group, noise))


@lru_cache(maxsize=2)
def order_of_pass(count: int, seed: int, number: int) -> list[int]:
    """The order of one pass through `count` batches."""
    order = list(range(count))
    random.Random(f"distillation {seed} {number}").shuffle(order)
    return order
