"""Detecting a plan's notation by its markers and names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...errors import GoTError
from ...notes import Note
from ..notation import scan
from . import omost
from .coordinates import WIDTH_HEIGHT
from .json_entries import Entry
from .json_plans import all_entries
from .lines import lists_in_prose
from .paligemma import is_paligemma
from .preparing import prepared
from .tolerant_json import find_json

_LOCATION, _BBOX = re.compile(r"<loc_[0-9]"), re.compile(r"<b?box>", re.IGNORECASE)
_BRACKET = re.compile(r"[\[{]")
_IS_JSON = re.compile(r"\A\s*[\[{]\s*[\[{\"'\]}]|```json", re.IGNORECASE)
_CAPTION = "compositional_deconstruction"
AMBIGUOUS = ("qwen3-vl", "elements", "json")
"""Notations recognized by names that do not define the order or the unit of their numbers."""

_AT_MOST_AS_FRACTION = 2  # a box may reach beyond the picture


def notation_of(text: str) -> str:
    """The notation of a text; "got", that of a chain, if no other is recognized."""
    try:
        text, _ = prepared(text)
    except GoTError:  # it holds thoughts alone
        return "got"
    return notation_of_prepared(text)


def notation_of_prepared(text: str) -> str:
    """The same for a text as `prepared` returns it."""
    if is_paligemma(text):
        return "paligemma"
    if _LOCATION.search(text):
        return "florence-2"
    if _BBOX.search(text):
        return "consistcompose"
    if omost.is_omost(text):
        return "omost"
    if scan(text)[0] and not _IS_JSON.search(text):
        return "got"
    if not _BRACKET.search(text):
        return "json" if lists_in_prose(text) else "got"
    notation = notation_of_values([item.value for item in find_json(text)])
    is_json = _IS_JSON.search(text) or lists_in_prose(text)
    return "json" if notation == "got" and is_json else notation


def notation_of_values(values: Sequence[Any]) -> str:
    """The notation of lists and objects; "got" if they hold no plan."""
    keys = {key.lower() for value in values if isinstance(value, dict) for key in value}
    found = [entry for entry in all_entries(values) if entry.box]
    names = {entry.box_name for entry in found}
    if _CAPTION in keys:
        return "ideogram"
    if not found:
        return "got"
    if {entry.box.order for entry in found if entry.box} == {WIDTH_HEIGHT}:
        if not _all_fractions(found):
            return "bounding boxes"
        return "deno" if "stylepalette" in keys else "kjnodes"
    if names == {"bbox_2d"}:
        return "qwen3-vl"
    if names == {"box_2d"} or (names == {"bbox"} and _are_elements(values)):
        return "elements"
    if "gligen_boxes" in keys:
        return "gligen"
    return "eligen" if "eligen_entity_prompts" in keys else "json"


def assumption(notation: str) -> str:
    """What is assumed for a notation recognized only by its names, and how to override it; or empty."""
    if notation == "qwen3-vl":
        return Note("bbox_of_qwen3", name="bbox_2d", pixels="'qwen2.5-vl'")
    if notation == "elements":
        return Note("y_is_first", name="box_2d", x_first="'qwen3-vl'")
    return ""


def _all_fractions(found: Sequence[Entry]) -> bool:
    numbers = [abs(value) for entry in found if entry.box for value in entry.box.values]
    return max(numbers) <= _AT_MOST_AS_FRACTION and not all(value.is_integer() for value in numbers)


def _are_elements(values: Sequence[Any]) -> bool:
    """Whether all things in the lists are described as Ideogram's elements are."""
    groups = [value for value in values if isinstance(value, list)]
    groups += [inner for value in values if isinstance(value, dict) for inner in value.values()]
    things = [
        thing for group in groups if isinstance(group, list) for thing in group if isinstance(thing, dict)
    ]
    things += [value for value in values if isinstance(value, dict) and "bbox" in value]
    return bool(things) and all(thing.get("type") in ("obj", "text") or "desc" in thing for thing in things)
