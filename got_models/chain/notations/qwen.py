"""Boxes of Qwen2.5-VL and Qwen3-VL: [{"bbox_2d": [x1, y1, x2, y2], "label": "a cat"}, ...].

Qwen2.5-VL counts pixels of the picture as it saw it, resized; Qwen3-VL thousandths of width and height.
"""

from __future__ import annotations

import json
import re

from ...errors import GoTError, short_repr
from .coordinates import PIXELS, THOUSANDTHS, X_FIRST, Reading, Size, SizeNeededError
from .json_plans import read_json
from .plan import LayoutPlan

QWEN3 = Reading(X_FIRST, THOUSANDTHS)
QWEN2_5 = Reading(X_FIRST, PIXELS)
EMPTY = re.compile(r"^\s*(```(json)?\s*)?\[\s*\]\s*(```)?\s*$")
"""The answer where nothing was found."""


class NoBoxesError(GoTError):
    """An answer about places that is no list of boxes."""


def write(plan: LayoutPlan, size: Size | None) -> str:
    """The elements with a box, one per line. `size`: in pixels of such a picture; None: in thousandths."""
    lines = []
    for element in plan.elements:
        if element.box:
            entry = {"bbox_2d": corners(element.box, size), "label": element.phrase}
            lines.append(f"\t{json.dumps(entry, ensure_ascii=False)}")
    return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"


def read_answer(text: str, size: Size | None) -> LayoutPlan:
    """The things that Qwen found in a picture; an empty list is an answer too.

    Args:
        size: of the picture as Qwen2.5-VL saw it; None: in thousandths, as from Qwen3-VL.

    Raises:
        NoBoxesError: the answer is no list of boxes.
        GoTError: its boxes are in another unit.
    """
    if EMPTY.search(text):
        return LayoutPlan(elements=())
    try:
        return read_json(text, QWEN2_5 if size else QWEN3, size)
    except SizeNeededError as error:
        raise GoTError(
            "The model was asked where things are, and its boxes are in pixels, not in thousandths:"
            f" {short_repr(text.strip(), 100)}."
        ) from error
    except GoTError as error:
        raise NoBoxesError(
            "The model was asked where things are, and answered without boxes:"
            f" {short_repr(text.strip(), 100)}. Use a checkpoint that was taught to locate."
        ) from error


def corners(box: tuple[float, float, float, float], size: Size | None) -> list[int]:
    """A box in whole pixels, or in thousandths without a size."""
    width, height = size or (1000, 1000)
    return [round(value * side) for value, side in zip(box, (width, height, width, height), strict=True)]
