"""Placement of box labels: next to the objects, avoiding them, and never overlapping each other.

The web editor places its labels by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

_GAP = 3  # pixels between a label and its box
_MOST_HIDDEN = 0.05  # fraction of boxes that a label may hide before it is reduced to its number
_NEIGHBOUR = 1.5  # cost of hiding another object, relative to the label's own
_COVERED = 1000.0  # cost of hiding another label
_STEPS = 12  # along a box's longer side, in crowded plans


@dataclass(frozen=True)
class Rectangle:
    """Pixels from `left` and `top` to `right` and `bottom`, which are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        return (self.right - self.left) * (self.bottom - self.top)

    def shared(self, other: Rectangle) -> int:
        """The area of the intersection."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return width * height if width > 0 and height > 0 else 0


@dataclass(frozen=True)
class Wanted:
    """A label: its box, and its width with the phrase and with the number alone."""

    box: Rectangle
    full: int
    short: int


@dataclass(frozen=True)
class Place:
    """A label's position, and whether it only has space for the number."""

    rectangle: Rectangle
    short: bool


def place_labels(wanted: Sequence[Wanted], size: tuple[int, int], height: int) -> list[Place]:
    """A position for each label, `height` pixels high, inside a picture of this (width, height)."""
    boxes = [label.box for label in wanted]
    places: list[Place] = []
    for label in wanted:
        places.append(_best_place(label, boxes, [place.rectangle for place in places], size, height))
    return places


def _best_place(
    label: Wanted, boxes: list[Rectangle], taken: list[Rectangle], size: tuple[int, int], height: int
) -> Place:
    def best(width: int, starts: Iterable[tuple[float, float]]) -> tuple[float, Rectangle]:
        candidates = [_inside(start, width, height, size) for start in starts]
        return min(  # the first of several equally good ones
            ((_badness(each, label.box, boxes, taken), each) for each in candidates), key=lambda pair: pair[0]
        )

    full, short = min(label.full, size[0]), min(label.short, size[0])
    cost, rectangle = best(full, _around(label.box, full, height))
    if cost <= _MOST_HIDDEN:
        return Place(rectangle, short=False)
    short_cost, shorter = best(short, _around(label.box, short, height))
    if short_cost >= _COVERED:
        short_cost, shorter = best(short, _near(label.box, short, height))
    return Place(shorter, short=True) if short_cost < cost else Place(rectangle, short=False)


def _badness(rectangle: Rectangle, own: Rectangle, boxes: list[Rectangle], taken: list[Rectangle]) -> float:
    """The cost of what a label would hide: parts of boxes and, far worse, of other labels."""
    covered = _COVERED if any(rectangle.shared(other) for other in taken) else 0.0
    hidden = (rectangle.shared(box) / box.area * (1.0 if box is own else _NEIGHBOUR) for box in boxes)
    return covered + sum(hidden)


def _around(box: Rectangle, width: int, height: int) -> Iterable[tuple[float, float]]:
    """Above, below and next to the box, then inside it along its edges."""
    middle = (box.left + box.right - width) / 2
    outside = (box.top - _GAP - height, box.bottom + _GAP)
    inside = (box.top + _GAP, box.bottom - _GAP - height)
    for y, x in product(outside, (box.left, box.right - width, middle)):
        yield x, y
    yield from product((box.right + _GAP, box.left - _GAP - width), (box.top, box.bottom - height))
    for y, x in product(inside, (box.left + _GAP, box.right - width - _GAP, middle)):
        yield x, y


def _near(box: Rectangle, width: int, height: int) -> Iterable[tuple[float, float]]:
    """Anywhere around the box, for crowded plans."""
    step = max(5, max(box.right - box.left, box.bottom - box.top) // _STEPS)
    rows = range(box.top - height, box.bottom + 1, step)
    yield from product(range(box.left - width, box.right + 1, step), rows)


def _inside(start: tuple[float, float], width: int, height: int, size: tuple[int, int]) -> Rectangle:
    left, top = (
        round(min(max(begin, 0), max(whole - side, 0)))
        for begin, side, whole in zip(start, (width, height), size, strict=True)
    )
    return Rectangle(left, top, left + width, top + height)
