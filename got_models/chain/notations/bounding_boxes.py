"""ComfyUI's BOUNDING_BOX: {"x", "y", "width", "height"} in pixels, one list of them for each picture.

Create Bounding Boxes reads and keeps `metadata`, of which the compositor takes `z_index`; detectors give
`label` and `score`. The forms are those of ComfyUI 0.33: comfy_extras/nodes_bounding_boxes.py,
nodes_compositor.py, nodes_rtdetr.py and nodes_sam3.py.
"""

from __future__ import annotations

import json
from typing import Any

from ...notes import Note
from .coordinates import PIXELS, WIDTH_HEIGHT, Reading, Size
from .plan import LayoutPlan

BOUNDING_BOXES = Reading(WIDTH_HEIGHT, PIXELS)


def bounding_boxes(plan: LayoutPlan, size: Size) -> list[dict[str, Any]]:
    """The boxes of one picture of this (width, height), with their words and colours."""
    written = []
    for element in plan.elements:
        if not (box := element.grid_box):
            continue
        left, top, right, bottom = box.to_pixels(*size)
        order = element.detail.order
        written.append(
            {
                "x": left,
                "y": top,
                "width": right - left,
                "height": bottom - top,
                "metadata": {
                    "type": element.kind,
                    "text": element.text,
                    "desc": element.phrase,
                    "palette": list(element.palette),
                    **({"z_index": order} if order else {}),
                },
            }
        )
    return written


def write(plan: LayoutPlan, size: Size) -> str:
    return json.dumps([bounding_boxes(plan, size)], ensure_ascii=False)


def one_picture(data: Any) -> tuple[Any, str]:
    """The boxes of the first picture, and a note if there are more."""
    if not isinstance(data, (list, tuple)) or not data:
        return data, ""
    if not all(
        isinstance(frame, (list, tuple)) and all(isinstance(box, dict) for box in frame) for frame in data
    ):
        return data, ""
    more = Note("several_pictures", count=str(len(data))) if len(data) > 1 else ""
    return data[0], more
