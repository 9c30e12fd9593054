"""What was planned against what was found: pure functions, no pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ..chain.chain import Box, Region

LEAST_OVERLAP = 0.5
"""The intersection over union from which an object is in its place, as in detection benchmarks."""
AXES = ("left of", "above")


@dataclass(frozen=True)
class Judged:
    """A planned object, and the thing that was found of it, if any."""

    phrase: str
    planned: Box
    found: Box | None

    @property
    def overlap(self) -> float:
        """Intersection over union of the planned and the found box; 0 where nothing was found."""
        return self.found.iou(self.planned) if self.found else 0.0

    @property
    def in_place(self) -> bool:
        """Whether the object is where it was planned."""
        return self.overlap >= LEAST_OVERLAP


@dataclass(frozen=True)
class Relation:
    """That of two objects the first was planned ``left of`` or ``above`` the second; whether it is."""

    first: Judged
    second: Judged
    words: str
    kept: bool


@dataclass(frozen=True)
class Verdict:
    """How a picture follows its plan.

    Attributes:
        objects: in the plan's order.
        extras: what was found though no box of the plan is there, with its box.
        changed_outside: for an edit, how much the picture changed outside the plan's boxes: the mean
            difference of its colours, from 0 to 1; None for a generated picture.
    """

    objects: tuple[Judged, ...]
    extras: tuple[tuple[str, Box], ...] = ()
    changed_outside: float | None = None

    @property
    def score(self) -> float:
        """A number to sort by, from 0 to 1: the mean overlap, where an extra counts as an object missed."""
        counted = len(self.objects) + len(self.extras)
        return sum(judged.overlap for judged in self.objects) / counted if counted else 1.0

    @property
    def obeyed(self) -> bool:
        """Whether every object is in its place, and nothing was found twice."""
        return not self.extras and all(judged.in_place for judged in self.objects)

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The order of every pair of objects that the plan keeps apart, and whether the picture has it."""
        return tuple(
            relation
            for first, second in combinations(self.objects, 2)
            for one, other in ((first, second), (second, first))
            for relation in _relations(one, other)
        )


def compare(regions: Sequence[Region], found: Mapping[str, Sequence[Box]]) -> Verdict:
    """Assigns what was found to what was planned.

    Boxes of one phrase are paired in the order of their overlap, the largest first; then, where a box of the
    plan still has none, the nearest one that is left is taken: the object is there, but out of place.

    Args:
        regions: of the plan.
        found: the boxes of each phrase of the plan.
    """
    assigned: dict[int, Box] = {}
    extras: list[tuple[str, Box]] = []
    for phrase in dict.fromkeys(region.phrase for region in regions):
        planned = [index for index, region in enumerate(regions) if region.phrase == phrase]
        left = list(found.get(phrase, ()))
        pairs = sorted(
            ((index, box) for index in planned for box in left),
            key=lambda pair: (-regions[pair[0]].box.iou(pair[1]), _distance(regions[pair[0]].box, pair[1])),
        )
        for index, box in pairs:
            if index not in assigned and box in left:
                assigned[index] = box
                left.remove(box)
        extras += [(phrase, box) for box in left if not _planned(box, regions)]
    objects = tuple(
        Judged(region.phrase, region.box, assigned.get(index)) for index, region in enumerate(regions)
    )
    return Verdict(objects, tuple(extras))


def _planned(box: Box, regions: Sequence[Region]) -> bool:
    """Whether something of the plan belongs there: "a star" is found where "a small star" was planned too."""
    return any(region.box.iou(box) >= LEAST_OVERLAP for region in regions)


def _distance(one: Box, other: Box) -> float:
    """Between the centres, squared."""
    return sum((a - b) ** 2 for a, b in zip(one.center, other.center, strict=True))


def _relations(first: Judged, second: Judged) -> list[Relation]:
    """What the plan says of the first object's place, seen from the second: boxes apart on an axis."""
    a, b = first.planned, second.planned
    planned = ((a.x2, b.x1), (a.y2, b.y1))
    relations = []
    for axis, (end, start) in enumerate(planned):
        if end <= start:
            kept = bool(first.found and second.found and first.found.center[axis] < second.found.center[axis])
            relations.append(Relation(first, second, AXES[axis], kept))
    return relations
