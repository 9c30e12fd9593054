"""Boxes in prose and in lists of lines: "a cat [100, 200, 400, 500]", "- cat: (0.1, 0.2, 0.4, 0.5)"."""

from __future__ import annotations

import re

from ..notation import BOX_END
from .coordinates import Four, four_numbers

_NUMBER = r"-?(?:[0-9]{1,6}(?:\.[0-9]{0,12})?|\.[0-9]{1,12}) ?%?"
_FOUR = r"(?: ?, ?| )".join([_NUMBER] * 4)
_LIST = re.compile(rf"\s?(?:\[ ?{_FOUR} ?\]|\( ?{_FOUR} ?\))")
_YEARS = range(1500, 2101)
_BOX_NAME = r"(?:b?box(?:_?2d)?|bounding[ _-]?box|coordinates?|coords?|position|location)"
_LOOSE = r"[ \t\"'*_`]{0,9}"
_JOINT = re.compile(
    rf"{_LOOSE}(?:(?:(?P<word>\b(?:at|with)(?=\s|\Z))|[:=|\u2013\u2014\uff1a\u2192]|[-=]>|(?<=[\s*])-){_LOOSE}"
    rf"(?:{_BOX_NAME}{_LOOSE}[:=\uff1a]?)?|\b{_BOX_NAME}{_LOOSE}[:=\uff1a]?)[ \t]{{0,9}}\Z",
    re.IGNORECASE,
)
_BULLET = re.compile(
    rf"[ \t,;]{{0,40}}(?:and[ \t])?(?P<sign>[-*+|\u2022][ \t]{{1,9}}|[0-9]{{1,3}}[.)][ \t]{{1,9}})?{_LOOSE}"
)
_LONGEST_NAME = 5  # words of a line without a bullet: more are a sentence
_NAMED_LINE = re.compile(
    r"\n?[ \t]{0,40}(?:-[ \t]{1,9})?[\"']?(?:label|name|object|desc|description|phrase)[\"']?[ \t]{0,9}[:=]"
    r"[ \t]{0,9}(?P<words>[^\n]{1,500})\n[ \t]{0,40}\Z",
    re.IGNORECASE,
)
_LOOK_BACK = 600  # characters: no line of a list is longer


def lists_in_prose(text: str) -> list[tuple[int, int, Four | None]]:
    """Four numbers in brackets, where they can be a box: no years, no small whole numbers."""
    found: list[tuple[int, int, Four | None]] = []
    for match in _LIST.finditer(text):
        box = four_numbers(match[0])
        if box and _may_be_box(box.values, match[0]):
            found.append((*match.span(), box))
    return found


def _may_be_box(values: tuple[float, ...], written: str) -> bool:
    if "." in written or "%" in written:
        return True
    return max(values) >= 10 and not all(value in _YEARS for value in values)


def words_before(text: str) -> tuple[str, str]:
    """The text without the words of the box that is to follow, where a line names them; and these words.

    "- a red car: " gives the words "a red car". Without such a line, the text itself and no words.
    """
    tail = text[-_LOOK_BACK:]
    cut = max(tail.rfind("\n") + 1, tail.rfind(BOX_END) + len(BOX_END) if BOX_END in tail else 0)
    line = tail[cut:]
    joint = _JOINT.search(line)
    if joint is None:
        return text, ""
    before = text[: len(text) - len(line)]
    words = line[: joint.start()]
    bullet = _BULLET.match(words)
    name = words[bullet.end() if bullet else 0 :].strip(" \t\"'*_`")
    is_listed = bool(bullet and bullet["sign"]) or len(name.split()) <= _LONGEST_NAME
    if name and (joint["word"] or not is_listed):
        return before + words, ""
    if name:
        return before, name
    named = _NAMED_LINE.search(tail[:cut])
    if named is None:
        return text, ""
    return before[: len(before) - len(named[0].lstrip("\n"))], named["words"].strip(" \t\"'*_`,")
