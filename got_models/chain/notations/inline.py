"""Notations with boxes in prose, right after their words: converted to a chain's, and parsed there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...errors import short_repr
from ..chain import ReasoningChain
from ..notation import BOX_END, BOX_START
from .coordinates import Four, Reading, Size, as_fractions, settled
from .from_chain import plan_of
from .plan import Gathering, LayoutPlan


def placed(
    text: str, found: Sequence[tuple[int, int, Four | None]], reading: Reading, size: Size | None
) -> LayoutPlan:
    """The plan of a text with boxes at known positions, with their content if it can be parsed.

    Raises:
        GoTError: the boxes are in pixels, and the picture's size is not given.
    """
    gathering = Gathering()
    reading = settled(reading, [box for _, _, box in found if box], size, gathering)
    native, done = "", 0
    for start, end, box in found:
        native += text[done:start]
        done = end
        if box is None:
            gathering.note(
                f"No four numbers could be read in {short_repr(text[start:end])}: there is no box."
            )
            continue
        before = len(gathering.elements)
        gathering.add(native[-40:].rpartition("\n")[2].strip(), as_fractions(box, reading, size))
        element = gathering.elements[-1] if len(gathering.elements) > before else None
        if element and (grid := element.grid_box):
            native += f" {BOX_START}({grid.x1},{grid.y1}),({grid.x2},{grid.y2}){BOX_END}"
    chain = ReasoningChain.read(native + text[done:], "generate", "", expects_colors=False)
    plan = plan_of(chain)
    notes = (*gathering.plan().notes, *chain.warnings)
    elements = tuple(replace(element, palette=()) for element in plan.elements)
    return LayoutPlan(elements, plan.prose, "", notes)
