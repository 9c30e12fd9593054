"""EliGen's entities, as named by DiffSynth: `eligen_entity_prompts`, and their positions.

DiffSynth takes the places as mask pictures, which no text can hold: here they are `eligen_entity_bboxes`, x1,
y1, x2, y2 in 0 to 1, in the order of the masks that GoT Chain to Masks makes.
"""

from __future__ import annotations

import json

from .coordinates import X_FIRST, Reading
from .plan import LayoutPlan

ELIGEN = Reading(X_FIRST)


def write(plan: LayoutPlan) -> str:
    boxed = [element for element in plan.elements if element.box]
    written = {
        "prompt": plan.prompt,
        "eligen_entity_prompts": [element.phrase for element in boxed],
        "eligen_entity_bboxes": [[round(value, 3) for value in element.box or ()] for element in boxed],
    }
    return json.dumps(written, ensure_ascii=False)
