"""Other notations for plans: parsed into a chain, and written from one.

`read_plan` takes the reply of a language model, whatever surrounds the plan in it, and `read_boxes` what
nodes hand over; `plan_to_chain` makes a chain of either. `write_plan` goes the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...errors import GoTError, short_repr
from ...notes import Note
from ..chain import ReasoningChain
from . import consistcompose, eligen, florence, gligen, ideogram, omost, paligemma, qwen
from .bounding_boxes import BOUNDING_BOXES, bounding_boxes, one_picture
from .bounding_boxes import write as write_bounding_boxes
from .coordinates import Reading, Size, SizeNeededError, check_size
from .detect import AMBIGUOUS, assumption, notation_of, notation_of_prepared, notation_of_values
from .from_chain import background, plan_of
from .ideogram import elements
from .json_plans import read_data, read_json
from .plan import MAX_TEXT, Element, LayoutPlan
from .preparing import prepared
from .saved_states import SAVED_STATE
from .to_chain import plan_to_chain

__all__ = [
    "AMBIGUOUS",
    "MAX_TEXT",
    "NOTATIONS",
    "WRITTEN",
    "Element",
    "LayoutPlan",
    "SizeNeededError",
    "background",
    "bounding_boxes",
    "elements",
    "notation_of",
    "plan_of",
    "plan_to_chain",
    "read_boxes",
    "read_plan",
    "write_plan",
]

_JSON = {
    "qwen3-vl": qwen.QWEN3,
    "qwen2.5-vl": qwen.QWEN2_5,
    "ideogram": ideogram.IDEOGRAM,
    "elements": ideogram.IDEOGRAM,
    "bounding boxes": BOUNDING_BOXES,
    "kjnodes": SAVED_STATE,
    "deno": SAVED_STATE,
    "gligen": gligen.GLIGEN,
    "eligen": eligen.ELIGEN,
    "json": Reading(),
}
NOTATIONS = ("auto", "got", *_JSON, "consistcompose", "florence-2", "omost", "paligemma")
"""What can be read. "auto" finds out which one it is; "json" is any list of boxes with words."""

_WRITERS = {
    "ideogram": lambda chain, size: ideogram.write(plan_of(chain), background(chain)),
    "elements": lambda chain, size: ideogram.write_elements(plan_of(chain)),
    "qwen3-vl": lambda chain, size: qwen.write(plan_of(chain), None),
    "qwen2.5-vl": lambda chain, size: qwen.write(plan_of(chain), size),
    "bounding boxes": lambda chain, size: write_bounding_boxes(plan_of(chain), size),
    "gligen": lambda chain, size: gligen.write(plan_of(chain)),
    "eligen": lambda chain, size: eligen.write(plan_of(chain)),
    "consistcompose": lambda chain, size: consistcompose.write(chain),
    "florence-2": lambda chain, size: florence.write(plan_of(chain)),
    "got": lambda chain, size: chain.text,
}
WRITTEN = tuple(_WRITERS)
"""What can be written."""

IN_PIXELS = ("qwen2.5-vl", "bounding boxes")
"""Notations that mean nothing without a picture's size."""


def read_plan(text: str, *, notation: str = "auto", size: Size | None = None) -> LayoutPlan:
    """The plan in a text, with notes on what was dropped, fixed or assumed.

    Args:
        size: (width, height) of the picture that the boxes were made for; needed where they are pixels.

    Raises:
        GoTError: another notation, an empty text or one with no plan in it, or pixels without a size.
    """
    if notation not in NOTATIONS:
        raise GoTError(f"Unknown notation {short_repr(notation)}: expected one of {', '.join(NOTATIONS)}.")
    check_size(size)
    if not text.strip():
        raise GoTError(
            "The plan is empty. Give the answer of a language model, or a list of boxes with their words."
        )
    if len(text) > MAX_TEXT:
        raise GoTError(Note("plan_too_long", most=str(MAX_TEXT)))
    text, notes = prepared(text)
    found = notation_of_prepared(text) if notation == "auto" else notation
    plan = _assuming(_read(text, found, size), found, notation)
    plan = replace(plan, notes=(*plan.notes, *notes))
    if any(element.box for element in plan.elements):
        return plan
    return replace(plan, notes=(Note("no_box_read"), *plan.notes))


def _read(text: str, notation: str, size: Size | None) -> LayoutPlan:
    if notation == "consistcompose":
        return consistcompose.read(text, size)
    if notation == "florence-2":
        return florence.read(text)
    if notation == "paligemma":
        return paligemma.read(text)
    if notation == "omost":
        return omost.read(text)
    if notation == "got":
        chain = ReasoningChain.read(text, "generate", "", expects_colors=False)
        return replace(plan_of(chain), notes=chain.warnings)
    return read_json(text, _JSON[notation], size)


def read_boxes(
    data: Any, *, notation: str = "auto", size: Size | None = None, labels: Sequence[str] = ()
) -> LayoutPlan:
    """The plan in a value passed between nodes: BOUNDING_BOX, an ARRAY of elements, or a text.

    Args:
        labels: words for the boxes, in their order; they count where a box has none of its own.

    Raises:
        GoTError: as `read_plan`.
    """
    if isinstance(data, str):
        plan = read_plan(data, notation=notation, size=size)
        return replace(plan, elements=tuple(_labelled(plan.elements, labels)))
    check_size(size)
    data, note = one_picture(data)
    if isinstance(data, (list, tuple)) and not data:
        raise GoTError(
            "There is no box: nothing was found. Lower the detector's threshold, or describe in other words "
            "what it is to find."
        )
    found = notation_of_values([data]) if notation == "auto" else notation
    plan = read_data(data, _JSON.get(found, Reading()), size, labels)
    plan = _assuming(plan, found, notation)
    return replace(plan, notes=(note, *plan.notes)) if note else plan


def _labelled(elements: Sequence[Element], labels: Sequence[str]) -> list[Element]:
    named = [*labels, *[""] * len(elements)]
    return [
        replace(element, phrase=element.phrase or label)
        for element, label in zip(elements, named, strict=False)
    ]


def _assuming(plan: LayoutPlan, found: str, notation: str) -> LayoutPlan:
    note = assumption(found) if notation == "auto" else ""
    return replace(plan, notes=(note, *plan.notes)) if note else plan


def write_plan(chain: ReasoningChain, notation: str, size: Size | None = None) -> str:
    """The chain in another notation.

    Raises:
        GoTError: a notation that is not written, or one in pixels without a size.
    """
    if notation not in WRITTEN:
        raise GoTError(f"Cannot write {short_repr(notation)}: expected one of {', '.join(WRITTEN)}.")
    check_size(size)
    if notation in IN_PIXELS and size is None:
        raise GoTError(f"The notation {notation} is in pixels: give the width and height of the picture.")
    return _WRITERS[notation](chain, size)
