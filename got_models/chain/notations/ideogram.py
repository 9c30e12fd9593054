"""Captions of Ideogram 4, which Krea 2 reads too, and ComfyUI's elements, which are a part of them.

    {"high_level_description": ..., "compositional_deconstruction": {"background": ..., "elements": [
        {"type": "obj", "bbox": [ymin, xmin, ymax, xmax], "desc": ..., "color_palette": ["#FF8800"]}]}}

Boxes are in thousandths, y before x. The order of the keys is part of the notation. The forms are those of
ComfyUI 0.33: comfy_extras/nodes_bounding_boxes.py (build_elements) and nodes_json_prompt.py.
"""

from __future__ import annotations

import json
from typing import Any

from .coordinates import THOUSANDTHS, Y_FIRST, Reading
from .plan import LayoutPlan
from .qwen import corners

IDEOGRAM = Reading(Y_FIRST, THOUSANDTHS)
MAX_COLORS = 5  # of one element


def elements(plan: LayoutPlan) -> list[dict[str, Any]]:
    """ComfyUI's ARRAY of elements: those of the plan with a box."""
    written = []
    for element in plan.elements:
        if not element.box:
            continue
        x1, y1, x2, y2 = corners(element.box, None)
        entry: dict[str, Any] = {"type": element.kind, "bbox": [y1, x1, y2, x2]}
        if element.kind == "text":
            entry["text"] = element.text
        entry["desc"] = element.phrase
        if element.palette:
            entry["color_palette"] = [color.upper() for color in element.palette[:MAX_COLORS]]
        written.append(entry)
    return written


def write(plan: LayoutPlan, background: str) -> str:
    """The caption, in one line. `background`: what the picture shows besides the elements."""
    caption: dict[str, Any] = {}
    if plan.prompt.strip():
        caption["high_level_description"] = plan.prompt
    caption["compositional_deconstruction"] = {"background": background, "elements": elements(plan)}
    return json.dumps(caption, ensure_ascii=False, separators=(",", ":"))


def write_elements(plan: LayoutPlan) -> str:
    return json.dumps(elements(plan), ensure_ascii=False)
