"""Notations with boxes in prose, right after their words: converted to a chain's, and parsed there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ...errors import short_repr
from ...notes import Note
from ..chain import ReasoningChain
from ..notation import BOX_END, BOX_START, OBJECT_END, OBJECT_START, marked
from .coordinates import Four, Reading, Size, as_fractions, settled
from .from_chain import plan_of
from .lines import words_before
from .plan import Gathering, LayoutPlan

_MARKED_LAST = re.compile(rf"{re.escape(OBJECT_START)}([^<\n]{{1,2000}}){re.escape(OBJECT_END)}\s?\Z")


def placed(
    text: str,
    found: Sequence[tuple[int, int, Four | None]],
    reading: Reading,
    size: Size | None,
    lines: bool = False,
) -> LayoutPlan:
    """The plan of a text with boxes at known positions, with their content if it can be parsed.

    Args:
        lines: whether a line may name its box, as "- a red car: [100, 200, 300, 400]" does.

    Raises:
        GoTError: the boxes are in pixels, and the picture's size is not given.
    """
    gathering = Gathering()
    reading = settled(reading, [box for _, _, box in found if box], size, gathering)
    native, marked_words, done = "", "", 0
    for start, end, box in found:
        native += text[done:start]
        done = end
        if start == end and marked_words:  # one more place of the same thing
            native += f", {marked(marked_words)}"
        elif start < end:
            native, words = words_before(native) if lines else (native, "")
            match = _MARKED_LAST.search(native)
            marked_words = words or (match[1] if match else "")
            native += marked(words) if words else ""
        if box is None:
            gathering.note(Note("no_four_numbers", numbers=short_repr(text[start:end])))
            continue
        before = len(gathering.elements)
        name = marked_words or native[-40:].rpartition("\n")[2].strip()
        gathering.add(name, as_fractions(box, reading, size))
        element = gathering.elements[-1] if len(gathering.elements) > before else None
        if element and (grid := element.grid_box):
            native += f" {BOX_START}({grid.x1},{grid.y1}),({grid.x2},{grid.y2}){BOX_END}"
    chain = ReasoningChain.read(native + text[done:], "generate", "", expects_colors=False)
    plan = plan_of(chain)
    notes = (*gathering.plan().notes, *chain.warnings)
    elements = tuple(replace(element, palette=()) for element in plan.elements)
    return LayoutPlan(elements, plan.prose, "", notes)
