"""Planning with any language model: the instruction, and the conversion of its answer to a chain.

The model itself is a function from an instruction to its answer, so that it may be one of ComfyUI's text
encoders, a server, or a person who pastes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import GoTError
from .chain import ReasoningChain
from .notations import LayoutPlan, plan_to_chain, read_plan
from .region import Region

_BOXES = """Boxes are [x1, y1, x2, y2] in thousandths of the picture: x from left to right, y from top to
bottom, top-left corner first. Use the words of the description, word for word, as labels. Answer with JSON
alone."""
TASKS = {
    "generate": f"""You plan pictures. Describe the picture for the request below in one to four sentences,
and give each important object a box. Objects that the request places beside each other must not overlap.
{_BOXES}""",
    "edit": f"""You plan edits of a picture. Say in one or two sentences what changes in the picture for the
request below, and give each object that changes a box around the area that may change. Name the objects as
they are now. {_BOXES}""",
}
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


def instruction(prompt: str, task: str, locked: Sequence[Region] = ()) -> str:
    """The instruction that asks a language model for a plan.

    Args:
        task: "generate", or "edit" for a model that sees the picture.
        locked: regions that the plan must hold, each phrase with its box.
    """
    request, description, objects = EXAMPLES[task]
    held = ""
    if locked:
        listed = _answer("", {region.phrase: _corners(region) for region in locked})
        held = f"\nThe description must name these objects, with exactly these boxes: {listed['objects']}"
    example = json.dumps(_answer(description, objects), ensure_ascii=False)
    return f"{TASKS[task]}\n\nRequest: {request}\n{example}\n\nRequest: {prompt}{held}\n"


def make_plan(
    answer: Callable[[str], str], prompt: str, task: str, locked: Sequence[Region] = ()
) -> ReasoningChain:
    """Request a plan; if it cannot be parsed, once more with the error. Locked regions are enforced.

    Args:
        answer: the language model.

    Raises:
        GoTError: no answer could be read, or what `answer` raises.
    """
    asked = instruction(prompt, task, locked)
    plan, problem = _read(answer(asked))
    if plan is None:
        wrong = f"Your last answer could not be read: {problem} Answer with JSON alone, as in the example."
        plan, problem = _read(answer(f"{asked}\n{wrong}\n"))
    if plan is None:
        raise GoTError(
            f"The language model gave no plan that can be read, asked twice. {problem} Choose a larger "
            "model, or another seed."
        )
    return hold(plan_to_chain(plan, task, prompt), locked)


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
            warnings.append(f"The model put {region.phrase!r} elsewhere; it stays in its locked box.")
        else:
            chain = chain.add(region.phrase, region.box)
            warnings.append(f"The model left out {region.phrase!r}, which is locked; it was added.")
    return replace(chain, warnings=tuple(warnings))


def _read(text: str) -> tuple[LayoutPlan | None, str]:
    """The plan in an answer; or None, and the error."""
    if not text.strip():
        return None, "It was empty."
    try:
        plan = read_plan(text)
    except GoTError as error:
        return None, str(error)
    if not any(element.box for element in plan.elements):
        return None, "It has no box."
    return replace(
        plan, notes=plan.notes[1:] if plan.notes and "'qwen2.5-vl'" in plan.notes[0] else plan.notes
    ), ""


def _answer(description: str, objects: dict[str, tuple[int, int, int, int]]) -> dict[str, object]:
    entries = [{"label": label, "bbox_2d": list(box)} for label, box in objects.items()]
    return {"description": description, "objects": entries}


def _corners(region: Region) -> tuple[int, int, int, int]:
    box = region.box
    return box.x1, box.y1, box.x2, box.y2
