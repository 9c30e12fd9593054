"""What has changed between two lists of things in a picture: for annotators that cannot be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..chain.chain import Box
from ..chain.english import article, definite
from ..chain.notations import Element, LayoutPlan

SAME_PLACE = 0.5
"""The intersection over union from which two boxes hold the same thing."""


@dataclass(frozen=True)
class Step:
    """One edit.

    Attributes:
        kind: "change", "remove", "add" or "move".
        name: of the object, as the source shows it, or the result where it is added.
        box: around it; None: it was not found.
        moved: around the place that it has moved to.
        change: what became of it, in a sentence.
    """

    kind: str
    name: str
    box: Box | None
    moved: Box | None
    change: str


def compared(before: LayoutPlan, after: LayoutPlan) -> list[Step]:
    """The edits that make the second picture of the first.

    A thing in its place under its name has stayed; in its place under another name it was changed; under its
    name elsewhere it was moved; the others were removed or added.
    """
    old, new = _placed(before), _placed(after)
    _pairs(old, new, lambda one, other: one[0] == other[0] and one[1].iou(other[1]) >= SAME_PLACE)
    changed = _pairs(old, new, lambda one, other: one[1].iou(other[1]) >= SAME_PLACE)
    moved = _pairs(old, new, lambda one, other: one[0] == other[0])
    return [
        *(Step("change", one[0], one[1], None, f"It becomes {other[0]}.") for one, other in changed),
        *(Step("move", one[0], one[1], other[1], "It moves there.") for one, other in moved),
        *(Step("remove", name, box, None, "It is removed.") for name, box in old),
        *(Step("add", name, box, None, "It is added.") for name, box in new),
    ]


def instruction_for(steps: Sequence[Step]) -> str:
    """An instruction that asks for these edits."""
    return " and ".join(_asked_for(step) for step in steps)


def _asked_for(step: Step) -> str:
    name = definite(step.name)
    if step.kind == "change":
        return f"turn {name} into {step.change.removeprefix('It becomes ').rstrip('.')}"
    place = _place(step.moved or step.box)
    if step.kind == "move":
        return f"move {name} to the {place}"
    return f"remove {name}" if step.kind == "remove" else f"add {step.name} in the {place}"


def _place(box: Box | None) -> str:
    x, y = box.center if box else (500.0, 500.0)
    return f"{'top' if y < 500 else 'bottom'} {'left' if x < 500 else 'right'}"


Thing = tuple[str, Box]


def _placed(plan: LayoutPlan) -> list[Thing]:
    return [(_indefinite(element), element.grid_box) for element in plan.elements if element.grid_box]


def _indefinite(element: Element) -> str:
    name = element.phrase or "object"
    first = name.split()[0].lower()
    return name if first in ("a", "an", "the") else f"{article(first)} {name}"


def _pairs(
    old: list[Thing], new: list[Thing], is_pair: Callable[[Thing, Thing], bool]
) -> list[tuple[Thing, Thing]]:
    """Takes from both lists the things that belong together."""
    found = []
    for thing in list(old):
        other = next((candidate for candidate in new if is_pair(thing, candidate)), None)
        if other:
            old.remove(thing)
            new.remove(other)
            found.append((thing, other))
    return found
