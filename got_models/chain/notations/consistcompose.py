"""ConsistCompose's prompts: prose with `<bbox>[x1, y1, x2, y2]</bbox>` in 0 to 1 after each object.

Words between `<p>` and `</p>` right before it are the whole phrase, as models of its family write them. The
`<ref>words</ref><box>...</box>` of MiniCPM and InternVL, in thousandths, is read too.
"""

from __future__ import annotations

import re

from ..chain import BOX_START, GRID, OBJECT_END, OBJECT_START, ReasoningChain
from .coordinates import FRACTIONS, X_FIRST, Four, Reading, Size, four_numbers
from .inline import placed
from .plan import LayoutPlan

CONSISTCOMPOSE = Reading(X_FIRST, FRACTIONS)
_BOX = re.compile(r"\s?<b?box>([^<]{1,2000})(?:</?b?box>|\Z)", re.IGNORECASE)
_NAMED = re.compile(r"<(p|object|ref|name|label)>\s?([^<>\n]{1,2000}?)\s?</\1>(?=\s?<b?box>)", re.IGNORECASE)
_AROUND = re.compile(r"</?(?:objects?|items?|layout|annotations?)>", re.IGNORECASE)
_NUMBER = re.compile(r"-?(?:[0-9]{1,9}(?:[.][0-9]{0,15})?|[.][0-9]{1,15})%?")
_MARKED = re.compile(rf"{re.escape(OBJECT_START)}(.*?){re.escape(OBJECT_END)}")


def read(text: str, size: Size | None) -> LayoutPlan:
    """Raises GoTError if the boxes are in pixels and the picture's size is not given."""
    text = _AROUND.sub("", _NAMED.sub(lambda match: f"{OBJECT_START}{match[2]}{OBJECT_END}", text))
    found: list[tuple[int, int, Four | None]] = []
    for match in _BOX.finditer(text):
        numbers = _NUMBER.findall(match[1])
        fours = [numbers[place : place + 4] for place in range(0, len(numbers), 4)] or [[]]
        boxes = [four_numbers(four) if len(numbers) % 4 == 0 else None for four in fours]
        found.append((*match.span(), boxes[0]))
        found += [(match.end(), match.end(), box) for box in boxes[1:] if box]
    return placed(text, found, CONSISTCOMPOSE, size)


def write(chain: ReasoningChain) -> str:
    text, done = "", 0
    for region in chain.regions:
        start, end = region.span
        words = chain.text[start:end].rpartition(BOX_START)[0].rstrip()
        words = _MARKED.sub(lambda match: f"<p>{match[1]}</p>", words)
        box = region.box
        corners = ", ".join(f"{value / GRID:.3f}" for value in (box.x1, box.y1, box.x2, box.y2))
        text += f"{chain.text[done:start]}{words} <bbox>[{corners}]</bbox>"
        done = end
    return text + chain.text[done:]
