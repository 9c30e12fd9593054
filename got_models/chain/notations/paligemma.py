"""PaliGemma's answers: `<loc0102><loc0205><loc0512><loc0921> a cat ; ...`, y first, on a grid of 1024."""

from __future__ import annotations

import re

from ...errors import short_repr
from ..characters import clean
from .plan import Gathering, LayoutPlan

GRID = 1024
_LOCATION = re.compile(r"<loc([0-9]{4})>")
_BOX = re.compile(r"((?:<loc[0-9]{4}>\s?){1,9})([^<;\n]{0,500})")


def is_paligemma(text: str) -> bool:
    return _LOCATION.search(text) is not None


def read(text: str) -> LayoutPlan:
    gathering = Gathering()
    for match in _BOX.finditer(text):
        phrase = clean(match[2]).strip()
        values = [min(int(digits), GRID) / GRID for digits in _LOCATION.findall(match[1])]
        if len(values) == 4:
            y1, x1, y2, x2 = values
            gathering.add(phrase, (x1, y1, x2, y2))
        else:
            gathering.about("fewer_than_four", short_repr(phrase or match[1].strip()))
            gathering.add(phrase, None)
    return gathering.plan()
