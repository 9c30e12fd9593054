"""Several plans in one reply: of alternatives the first is read, of corrections the last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ...errors import short_repr
from ...notes import Note
from .json_entries import entries, is_entry
from .plan import listed
from .tolerant_json import Found

# In Chinese: plan, option, version, layout; and corrected, final.
_NAMES = (
    r"(?:option|plan|alternative|variant|version|layout|candidate|design|proposal"
    r"|\u65b9\u6848|\u9009\u9879|\u7248\u672c|\u5e03\u5c40)"
)
_ANNOUNCED = re.compile(rf"{_NAMES}s?\b|{_NAMES}\s?[#0-9\u4e00-\u5341]", re.IGNORECASE)
_CORRECTED = re.compile(
    r"\b(?:correct(?:ed|ion)?|revis(?:ed|ion)|final|instead|wait|actually|updated|fixed|improved)\b"
    r"|\u4fee\u6b63|\u6539\u6b63|\u6700\u7ec8|\u66f4\u6b63",
    re.IGNORECASE,
)
_KEY = re.compile(rf"{_NAMES}[ _-]?(?:[0-9]{{1,2}}|[a-e]|one|two|three|[\u4e00-\u5341])", re.IGNORECASE)
_LISTS = re.compile(rf"{_NAMES}s", re.IGNORECASE)


def chosen(text: str, found: Sequence[Found]) -> tuple[list[Found], str]:
    """The JSON values of one plan, and a note on plans that are left out; empty if there are none."""
    plans = [item for item in found if not _is_one(item.value) and _phrases(item.value)]
    if len(plans) > 1 and _are_alternatives(text, plans):
        between = text[plans[0].end : plans[-1].start]
        kept = plans[-1] if _CORRECTED.search(between) else plans[0]
        return [kept], _note([item.value for item in plans if item is not kept], kept is plans[0])
    for item in found:
        inner = _alternatives(item.value)
        if len(inner) > 1:
            others = [other for other in found if other is not item]
            first = Found(inner[0], item.start, item.end, item.complete)
            return [*others, first], _note(inner[1:], is_first=True)
    return list(found), ""


def _are_alternatives(text: str, plans: Sequence[Found]) -> bool:
    """Whether each plan is announced as one, or they are about the same things."""
    begins = [0, *(item.end for item in plans[:-1])]
    before = [text[begin : item.start] for begin, item in zip(begins, plans, strict=True)]
    if sum(bool(_ANNOUNCED.search(words)) for words in before) == len(plans):
        return True
    first, *others = ({phrase.lower() for phrase in _phrases(item.value)} for item in plans)
    return all(2 * len(first & other) > min(len(first), len(other)) for other in others)


def _alternatives(value: Any) -> list[Any]:
    """The plans in an object that names them, "option_1" and "option_2", or lists them as "plans"."""
    if not isinstance(value, dict):
        return []
    named = [inner for key, inner in value.items() if _KEY.fullmatch(key.strip()) and _phrases(inner)]
    if len(named) > 1:
        return named
    for key, inner in value.items():
        if _LISTS.fullmatch(key.strip()) and isinstance(inner, list):
            plans = [plan for plan in inner if not _is_one(plan) and _phrases(plan)]
            if len(plans) == len(inner) > 1:
                return plans
    return []


def _is_one(value: Any) -> bool:
    """Whether a value is a thing with its box rather than a plan."""
    return isinstance(value, dict) and is_entry(value)


def _phrases(value: Any) -> list[str]:
    return [entry.phrase for entry in entries(value) if entry.box]


def _note(left_out: Sequence[Any], is_first: bool) -> str:
    names = listed([short_repr(phrase) for value in left_out for phrase in _phrases(value)])
    key = "first_of_plans" if is_first else "last_of_plans"
    return Note(key, count=str(len(left_out) + 1), names=names)
