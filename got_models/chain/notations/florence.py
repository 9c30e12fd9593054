"""Florence-2's answers: words, then `<loc_x1><loc_y1><loc_x2><loc_y2>` for each box, 0 to 999.

a cat<loc_120><loc_300><loc_480><loc_900>a dog<loc_500><loc_310><loc_760><loc_880>
"""

from __future__ import annotations

import re

from ...errors import GoTError, short_repr
from ...notes import Note
from ..characters import SPACES, clean
from ..region import GRID
from .plan import Gathering, LayoutPlan

_LOCATION = re.compile(r"<loc_([0-9]{1,6})>")
_LOCATIONS = re.compile(r"(?:\s{0,9}<loc_[0-9]{1,6}>)+")
_TAGS = re.compile(r"</?(?:s|pad|poly|sep|p|b?box|ref)>|<[A-Z_]{2,40}>")
_JOINT = re.compile(r"\s{1,9}and\s{1,9}(?=\S)|\s{0,9}[,;.]\s{1,9}(?:and\s{1,9})?(?=\S)", re.IGNORECASE)


def read(text: str) -> LayoutPlan:
    """Raises GoTError if there is no complete box."""
    gathering = Gathering()
    text = _TAGS.sub("", text)
    done = 0
    for match in _LOCATIONS.finditer(text):
        phrase = _phrase(text[done : match.start()], is_first=not done)
        done = match.end()
        values = [min(int(digits), GRID) / GRID for digits in _LOCATION.findall(match[0])]
        for place in range(0, len(values) - 3, 4):
            gathering.add(phrase, values[place : place + 4])
        if len(values) % 4:
            gathering.about("fewer_than_four", short_repr(phrase))
            if len(values) < 4:
                gathering.add(phrase, None)
    if not gathering.elements:
        raise GoTError(Note("no_locations", location="<loc_N>", received=short_repr(text)))
    rest = clean(text[done:]).strip(f"{SPACES}\n.")
    if rest:
        gathering.note(Note("words_behind", words=short_repr(rest)))
    return gathering.plan()


def _phrase(text: str, is_first: bool) -> str:
    """The words before a box, without the separator from those before."""
    joint = None if is_first else _JOINT.match(text)
    return clean(text[joint.end() :] if joint else text).strip(f"{SPACES}\n")


def write(plan: LayoutPlan) -> str:
    """All elements with a box. This notation has no prose around them."""
    written = ""
    for element in plan.elements:
        if box := element.grid_box:
            written += element.phrase + "".join(
                f"<loc_{value}>" for value in (box.x1, box.y1, box.x2, box.y2)
            )
    return written
