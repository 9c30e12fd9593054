"""GLIGEN's grounding, as diffusers takes it: `gligen_phrases`, and `gligen_boxes`: x1, y1, x2, y2, 0 to 1."""

from __future__ import annotations

import json

from .coordinates import FRACTIONS, X_FIRST, Reading
from .plan import LayoutPlan

GLIGEN = Reading(X_FIRST, FRACTIONS)


def write(plan: LayoutPlan) -> str:
    boxed = [element for element in plan.elements if element.box]
    written = {
        "prompt": plan.prompt,
        "gligen_phrases": [element.phrase for element in boxed],
        "gligen_boxes": [[round(value, 3) for value in element.box or ()] for element in boxed],
    }
    return json.dumps(written, ensure_ascii=False)
