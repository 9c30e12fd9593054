"""What a box says besides its words and place: lettering, colours, order, strength, and whether it counts.

None of it is in the chain's text, which stays the truth about words and boxes and is all that GoT's own model
reads. In JSON it is a block of its own next to the text, with a version of its own:

    {"version": 1, "boxes": [{"color": "red", "phrase": "a sign", "text": "OPEN", "palette": ["#FF8800"],
                              "order": 1, "on": false, "strength": 1.5}]}

`color` and `phrase` say which box is meant; everything else is optional.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import GoTError, printable, short_repr
from .characters import clean

VERSION = 1
MAX_COLORS = 5  # as many as Ideogram and ComfyUI's elements take
MAX_LETTERING = 1000  # characters
MAX_ORDER = 1000
MAX_STRENGTH = 2.0
_HEX = re.compile(r"#[0-9A-F]{6}")


class DetailsError(GoTError):
    """Details that cannot be read."""


def _is_palette(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) <= MAX_COLORS
        and all(isinstance(color, str) and _HEX.fullmatch(color) for color in value)
    )


def _is_strength(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= MAX_STRENGTH  # which nan is not


@dataclass(frozen=True)
class Detail:
    """
    Attributes:
        text: lettering on the object, literally; empty: none.
        palette: its colours, such as "#FF8800"; at most 5.
        order: of boxes that overlap, the one with the higher order lies in front.
        on: whether it is drawn at all.
        strength: how much its words count, 0 to 2; 1: as usual.

    Raises:
        DetailsError: one of them is of another type or out of range.
    """

    text: str = ""
    palette: tuple[str, ...] = ()
    order: int = 0
    on: bool = True
    strength: float = 1.0

    def __post_init__(self) -> None:
        checks: tuple[tuple[str, bool, str], ...] = (
            ("text", isinstance(self.text, str) and len(self.text) <= MAX_LETTERING, "up to 1000 characters"),
            ("palette", _is_palette(self.palette), 'up to 5 colours such as "#FF8800"'),
            ("order", type(self.order) is int and abs(self.order) <= MAX_ORDER, "a whole number up to 1000"),
            ("on", type(self.on) is bool, "true or false"),
            ("strength", _is_strength(self.strength), "a number from 0 to 2"),
        )
        for name, right, expected in checks:
            if not right:
                raise DetailsError(f'"{name}" takes {expected}, got {short_repr(getattr(self, name))}.')


PLAIN = Detail()
"""Of a box that says nothing besides its words and place."""


@dataclass(frozen=True)
class Stated:
    """A detail, and the colour and the words of the box that it belongs to."""

    color: str
    phrase: str
    detail: Detail


def details_to_json(stated: Sequence[Stated]) -> dict[str, Any] | None:
    """The block of JSON; None where no box says anything."""
    boxes = [
        {"color": each.color, "phrase": each.phrase, **_entries(each.detail)}
        for each in stated
        if each.detail != PLAIN
    ]
    return {"version": VERSION, "boxes": boxes} if boxes else None


def details_from_json(data: Any) -> list[Stated]:
    """The inverse of `details_to_json`. What it does not know is passed over.

    Raises:
        DetailsError: a newer version, or an entry of another type or out of range.
    """
    if not isinstance(data, dict) or not isinstance(data.get("boxes"), list):
        raise DetailsError(f'A chain\'s "details" hold "version" and "boxes", got {short_repr(data)}.')
    version = data.get("version")
    if type(version) is not int or version < 1:
        raise DetailsError(f'A chain\'s "details" need "version": {VERSION}, got {short_repr(version)}.')
    if version > VERSION:
        raise DetailsError(
            f"The chain's details (lettering, colours, order) have format version {short_repr(version)}, this"
            f' program knows up to {VERSION}. Use a newer version of the program, or leave out "details".'
        )
    return [_stated(entry) for entry in data["boxes"]]


def matched(stated: Sequence[Stated], boxes: Sequence[tuple[str, str]]) -> list[Detail]:
    """The detail of each box, given its colour and its words.

    A box is found by both; otherwise by its words, the first ones first; otherwise by its colour, under which
    it was renamed.
    """
    found: dict[int, Detail] = {}
    rest = list(stated)
    rules: tuple[Callable[[Stated, str, str], bool], ...] = (
        lambda each, color, phrase: each.color == color and each.phrase == phrase,
        lambda each, color, phrase: each.phrase == phrase,
        lambda each, color, phrase: each.color == color,
    )
    for fits in rules:
        for place, (color, phrase) in enumerate(boxes):
            each = next((each for each in rest if fits(each, color, phrase)), None)
            if place not in found and each:
                found[place] = each.detail
                rest.remove(each)
    return [found.get(place, PLAIN) for place in range(len(boxes))]


def _entries(detail: Detail) -> dict[str, Any]:
    values = {
        "text": detail.text,
        "palette": list(detail.palette),
        "order": detail.order,
        "on": detail.on,
        "strength": detail.strength,
    }
    plain = {"text": "", "palette": [], "order": 0, "on": True, "strength": 1.0}
    return {name: value for name, value in values.items() if value != plain[name]}


def _stated(entry: Any) -> Stated:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("color", "phrase")):
        raise DetailsError(f'Details of a box need its "color" and "phrase", got {short_repr(entry)}.')
    known = {name: entry[name] for name in ("text", "palette", "order", "on", "strength") if name in entry}
    if isinstance(known.get("palette"), list):
        colors = [color.upper() if isinstance(color, str) else color for color in known["palette"]]
        known["palette"] = tuple(colors)
    if isinstance(known.get("text"), str):
        known["text"] = printable(clean(known["text"]))
    try:
        return Stated(entry["color"], clean(entry["phrase"]), Detail(**known))
    except DetailsError as error:
        raise DetailsError(f"Details of {short_repr(entry['phrase'])}: {error}") from error
