"""What was asked for against what was found: pure functions, no pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from ..chain.chain import Box
from .asked import Asked

LEAST_OVERLAP = 0.5
"""The intersection over union from which an object is in its place, as in detection benchmarks."""
MOST_CHANGED = 0.01
"""The share of the picture outside an edit's boxes that may change: less is noise, more is an object."""
AXES = ("left of", "above")


@dataclass(frozen=True)
class Judged:
    """A planned object, and the thing that was found of it, if any.

    Attributes:
        there: whether it is to be there; an edit may ask that it be gone.
        label: what a detector called the thing, if other objects of the plan are called so too: then it
            may be one of those.
    """

    phrase: str
    planned: Box
    found: Box | None
    there: bool = True
    label: str | None = None

    @property
    def overlap(self) -> float:
        """Intersection over union of the planned and the found box; 0 where nothing was found."""
        return self.found.iou(self.planned) if self.found else 0.0

    @property
    def fit(self) -> float:
        """From 0 to 1: the overlap or, where the object is to be gone, what it lacks to 1."""
        return self.overlap if self.there else 1.0 - self.overlap

    @property
    def in_place(self) -> bool:
        """Whether the object is where it was planned or, if it is to be gone, no more there."""
        return (self.overlap >= LEAST_OVERLAP) == self.there


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
        changed_outside: for an edit, the share of the picture outside the plan's boxes that has visibly
            changed, from 0 to 1; None where there is no source to compare it with.
        unclear: the phrases of an edit's boxes of which the plan does not say what becomes of them.
    """

    objects: tuple[Judged, ...]
    extras: tuple[tuple[str, Box], ...] = ()
    changed_outside: float | None = None
    unclear: tuple[str, ...] = ()

    @property
    def score(self) -> float:
        """A number to sort by, from 0 to 1: the mean fit, times the share of the outside that is unchanged.

        Something extra, or unclear, counts as an object missed.
        """
        counted = len(self.objects) + len(self.extras) + len(self.unclear)
        fit = sum(judged.fit for judged in self.objects) / counted if counted else 0.0
        return fit * (1.0 - (self.changed_outside or 0.0))

    @property
    def obeyed(self) -> bool:
        """Whether everything is seen to be as planned, nothing is there too often, and the rest is kept."""
        certain = all(judged.in_place and judged.label is None for judged in self.objects)
        kept = (self.changed_outside or 0.0) <= MOST_CHANGED
        return certain and kept and not self.extras and not self.unclear

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The order of every pair of objects that the plan keeps apart, and whether the picture has it."""
        present = [judged for judged in self.objects if judged.there]
        return tuple(
            relation
            for first, second in combinations(present, 2)
            for one, other in ((first, second), (second, first))
            for relation in _relations(one, other)
        )


def compare(
    asked: Sequence[Asked],
    found: Mapping[str, Sequence[Box]],
    labels: Mapping[tuple[str, Box], str] | None = None,
    *,
    alone: bool = True,
) -> Verdict:
    """Assigns what was found to what was asked for.

    Boxes of one phrase are paired in the order of their overlap, the largest first; then, where a planned
    box still has none, the nearest one that is left is taken: the object is there, but out of place. For an
    object that is to be gone only things that overlap its box count.

    Args:
        asked: what the plan asks for.
        found: the boxes of each of its phrases.
        labels: of a phrase and a box, the label that fits other phrases too.
        alone: whether things that nobody asked for are extras; in an edit they may have been there before.
    """
    labels = labels or {}
    assigned: dict[int, Box] = {}
    extras: list[tuple[str, Box]] = []
    for phrase in dict.fromkeys(item.phrase for item in asked):
        planned = [index for index, item in enumerate(asked) if item.phrase == phrase and item.there]
        left = list(found.get(phrase, ()))
        pairs = sorted(
            ((index, box) for index in planned for box in left),
            key=lambda pair: (-asked[pair[0]].box.iou(pair[1]), _distance(asked[pair[0]].box, pair[1])),
        )
        for index, box in pairs:
            if index not in assigned and box in left:
                assigned[index] = box
                left.remove(box)
        if alone:
            extras += [(phrase, box) for box in left if not _planned(box, asked)]
    for index, item in enumerate(asked):
        remains = [box for box in found.get(item.phrase, ()) if box.iou(item.box) > 0]
        if not item.there and remains:
            assigned[index] = max(remains, key=item.box.iou)
    objects = []
    for index, item in enumerate(asked):
        thing = assigned.get(index)
        label = labels.get((item.phrase, thing)) if thing else None
        objects.append(Judged(item.phrase, item.box, thing, item.there, label))
    return Verdict(tuple(objects), tuple(extras))


def _planned(box: Box, asked: Sequence[Asked]) -> bool:
    """Whether something of the plan belongs there: "a star" is found where "a small star" was planned too."""
    return any(item.box.iou(box) >= LEAST_OVERLAP for item in asked)


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
