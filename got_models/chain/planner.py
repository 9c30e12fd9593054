"""Planning with any language model: the instruction, and the conversion of its answer to a chain.

The model itself is a function from an instruction to its answer, so that it may be one of ComfyUI's text
encoders, a server, or a person who pastes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import GoTError, short_repr
from ..notes import Note
from .chain import ReasoningChain
from .notations import LayoutPlan, notation_of, plan_to_chain, read_plan
from .region import GRID, Region

Size = tuple[int, int]
"""(width, height) of a picture in pixels."""

_BOXES = """Boxes are [x1, y1, x2, y2] in {unit}: x from left to right, y from top to
bottom, top-left corner first. Use the words of the description, word for word, as labels. Answer with JSON
alone."""
_UNIT, _PIXELS = "thousandths of the picture", "pixels of the picture, which is {} wide and {} high"
TASKS = {
    "generate": f"""You plan pictures. Describe the picture for the request below in one to four sentences,
and give each important object a box. Objects that the request places beside each other must not overlap.
{_BOXES}""",
    "edit": f"""You plan edits of a picture. Say in one or two sentences what changes in the picture for the
request below, and give each object that changes a box around the area that may change. Name the objects as
they are now. {_BOXES}""",
}
_JSON_BEGINS = re.compile(r"[\[{`<]")
_COUNTED = (
    "qwen3-vl",
    "json",
)  # notations by which a model may write boxes in the unit that it was asked for
EXAMPLES = {
    "generate": (
        "two sailing boats on a calm lake at dusk",
        "A small white sailing boat drifts on a calm lake at dusk. To the right of it, closer to the viewer, "
        "lies a large wooden sailing boat, with a row of dark hills behind both.",
        {
            "A small white sailing boat": (140, 420, 330, 640),
            "a large wooden sailing boat": (520, 330, 930, 860),
            "a row of dark hills": (0, 210, 999, 430),
        },
    ),
    "edit": (
        "make the lamp green",
        "The desk lamp becomes green; everything around it stays the same.",
        {"The desk lamp": (610, 120, 820, 560)},
    ),
}


def instruction(prompt: str, task: str, locked: Sequence[Region] = (), size: Size | None = None) -> str:
    """The instruction that asks a language model for a plan.

    Args:
        task: "generate", or "edit" for a model that sees the picture.
        locked: regions that the plan must hold, each phrase with its box.
        size: of the picture as the model sees it, for one that counts its pixels; None: in thousandths.
    """
    request, description, objects = EXAMPLES[task]
    held = ""
    if locked:
        listed = _answer("", {region.phrase: _corners(region) for region in locked}, size)
        held = f"\nThe description must name these objects, with exactly these boxes: {listed['objects']}"
    example = json.dumps(_answer(description, objects, size), ensure_ascii=False)
    asked = TASKS[task].format(unit=_PIXELS.format(*size) if size else _UNIT)
    return f"{asked}\n\nRequest: {request}\n{example}\n\nRequest: {prompt}{held}\n"


def make_plan(
    answer: Callable[[str], str],
    prompt: str,
    task: str,
    locked: Sequence[Region] = (),
    size: Size | None = None,
) -> ReasoningChain:
    """Request a plan; if it cannot be parsed, once more with the error. Locked regions are enforced.

    Args:
        answer: the language model.
        size: as for `instruction`.

    Raises:
        GoTError: no answer could be read, or what `answer` raises.
    """
    asked = instruction(prompt, task, locked, size)
    reply = answer(asked)
    plan, problem = _read(reply, size)
    if plan is None:
        wrong = f"Your last answer could not be read: {problem} Answer with JSON alone, as in the example."
        reply = answer(f"{asked}\n{wrong}\n")
        plan, problem = _read(reply, size)
    if plan is None:
        said = f" Its last answer: {short_repr(reply.strip(), 400)}" if reply.strip() else ""
        raise GoTError(
            f"The language model gave no plan that can be read, asked twice. {problem} Choose a larger "
            f"model, or another seed.{said}"
        )
    return hold(plan_to_chain(plan, task, prompt), locked)


def draft(reply: str, task: str, size: Size | None = None) -> str:
    """The plan of a reply that is still being written, as the text of a chain, for people to watch.

    Where nothing can be read yet, the reply itself, without the beginnings of JSON.
    """
    begun = "" if _JSON_BEGINS.search(reply) else reply
    try:
        plan = _parsed(reply, size)
    except GoTError:
        return begun
    boxed = tuple(element for element in plan.elements if element.box)
    if not boxed and notation_of(reply) == "got":
        return begun
    return plan_to_chain(replace(plan, elements=boxed), task).text.rstrip(".\u3002")


def read_answer(text: str, prompt: str, task: str, locked: Sequence[Region] = ()) -> ReasoningChain:
    """The plan in an existing answer, in any notation. Locked regions are enforced.

    Raises:
        GoTError: it holds no plan.
    """
    return hold(plan_to_chain(read_plan(text), task, prompt), locked)


def hold(chain: ReasoningChain, locked: Sequence[Region]) -> ReasoningChain:
    """The chain with each locked phrase in its box: moved there, or appended; warnings report it."""
    warnings = list(chain.warnings)
    for region in locked:
        same = [
            index
            for index, other in enumerate(chain.regions)
            if other.phrase.lower() == region.phrase.lower()
        ]
        if any(chain.regions[index].box == region.box for index in same):
            continue
        if same:
            chain = chain.move_box(same[0], region.box)
            warnings.append(Note("locked_moved", name=short_repr(region.phrase)))
        else:
            chain = chain.add(region.phrase, region.box)
            warnings.append(Note("locked_added", name=short_repr(region.phrase)))
    return replace(chain, warnings=tuple(warnings))


def _read(reply: str, size: Size | None) -> tuple[LayoutPlan | None, str]:
    """The plan in a reply; or None, and the error."""
    if not reply.strip():
        return None, "It was empty."
    try:
        plan = _parsed(reply, size)
    except GoTError as error:
        return None, str(error)
    if not any(element.box for element in plan.elements):
        return None, "It has no box."
    return plan, ""


def _parsed(reply: str, size: Size | None) -> LayoutPlan:
    """The plan in a reply to `instruction`, which says how boxes are counted.

    Raises:
        GoTError: it cannot be read.
    """
    found = notation_of(reply)
    if size and found in _COUNTED:
        return read_plan(reply, notation="qwen2.5-vl", size=size)
    return read_plan(reply, notation="qwen3-vl" if found == "qwen3-vl" else "auto")


def _answer(
    description: str, objects: dict[str, tuple[int, int, int, int]], size: Size | None
) -> dict[str, object]:
    entries = [{"label": label, "bbox_2d": _counted(box, size)} for label, box in objects.items()]
    return {"description": description, "objects": entries}


def _counted(box: tuple[int, int, int, int], size: Size | None) -> list[int]:
    """A box in pixels of a picture, or in thousandths."""
    if size is None:
        return list(box)
    return [round(value * side / GRID) for value, side in zip(box, (*size, *size), strict=True)]


def _corners(region: Region) -> tuple[int, int, int, int]:
    box = region.box
    return box.x1, box.y1, box.x2, box.y2
