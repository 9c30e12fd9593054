"""Adding, removing and replacing objects in a sentence while keeping it grammatical.

Objects next to each other form a row, "a cat, a dog and a bird", which keeps its commas and its "and" as it
grows and shrinks. "A cat, and to the left of it a dog" is a row whose relation applies to these two only. A
removed object takes the words that relate it to another with it, such as "on" in "a cat on a sofa". A new
object joins a row, or gets a sentence in the style of the text: "There is also a dog." in prose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .characters import SPACES
from .english import number
from .notation import DETERMINERS, OBJECT_START

_ASCII = re.ASCII | re.IGNORECASE
_S = f"[{SPACES}]"
_AND = "(?:and|und|et|y|e|&)"
_RELATION = (
    "(?:(?:to|on|at) the (?:left|right)(?: side)? of|(?:left|right) of|in front of|on top of|next to|above"
    "|over|below|underneath|under|beneath|behind|beside|near|inside|with|by|in|on|at|against|around)"
)
_BESIDE_IT = rf",?{_S}+and{_S}+{_RELATION}{_S}+(?:it|them){_S}+"
_EAST_ASIAN_AND = "[\u548c\u4e0e\u53ca\u3068]"
_JOINT = re.compile(
    rf"[,;]{_S}+(?:{_AND}{_S}+)?|{_S}+{_AND}{_S}+|[\uff0c\u3001]?{_S}*{_EAST_ASIAN_AND}{_S}*|[\uff0c\u3001]{_S}*|[,;]?{_S}*\n{_S}*"
    rf"|{_BESIDE_IT}"
)
_COMMAS = ",;\uff0c\u3001"
_NO_WORDS = f"{SPACES}\n{_COMMAS}"
_RELATED = re.compile(rf"{_S}+{_RELATION}{_S}+\Z", _ASCII)
_VERB_ALONE = re.compile(r"\b(?:is|are|was|were|be)\Z", _ASCII)
_RELATED_FIRST = re.compile(rf"(?:\A|(?<=[.!?\n]){_S}*){_RELATION}{_S}+\Z", _ASCII)
_THERE_IS_BETWEEN = re.compile(rf",?{_S}+there{_S}+(?:is|are){_S}+", _ASCII)
_THERE_IS = re.compile(rf"(?P<there>\bthere{_S}+)(?P<verb>is|are)(?P<gap>{_S}+)\Z", _ASCII)
_SENTENCE_OF_ITS_OWN = re.compile(rf"(?:\A|(?<=[.!?]){_S}+)there{_S}+(?:is|are){_S}+(?:also{_S}+)?\Z", _ASCII)
_AFTERTHOUGHT = re.compile(rf"(?:,{_S}+(?:and{_S}+)?|\uff0c(?:\u8fd8\u6709)?|\u3001)\Z")
SENTENCE_MARK = re.compile(rf"[.!?](?=[{SPACES}\n]|\Z)|[\u3002\uff01\uff1f]|\n")
BESIDE_IT = re.compile(_BESIDE_IT)
BACKGROUND = re.compile(
    rf"(?:\A|{_S})(?:on|against|in{_S}front{_S}of){_S}(?:[^{SPACES}\n,.;]+{_S}){{0,5}}?background\b",
    _ASCII,
)
_EAST_ASIAN, _KANA = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"), re.compile("[\u3040-\u30ff]")
_FIRST_WORD = re.compile(rf"(?:{re.escape(OBJECT_START)})?([^{SPACES}\n]*)")
_SINGULAR = ("a", "an", "one", "another")
_MANY = ("some", "several", "many", "these", "those")


@dataclass
class _Row:
    """Adjacent objects: their indices among all, before and after the change; and the text between them."""

    places: list[int] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    joints: list[str] = field(default_factory=list)
    now: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        kept = len(self.now) == len(self.before) == len(self.joints) + 1
        joints = self.joints if kept else self._new_joints()
        return "".join(f"{joint}{words}" for joint, words in zip(["", *joints], self.now, strict=True))

    def _new_joints(self) -> list[str]:
        joints = [joint for joint in self.joints if not BESIDE_IT.fullmatch(joint)]
        comma = next((joint for joint in joints if not joint.strip(_NO_WORDS)), None)
        east_asian = _EAST_ASIAN.search("".join(self.now))
        last = joints[-1] if joints else None
        if last is None:
            english = any(_first_word(words) in DETERMINERS for words in (*self.before, *self.now))
            last = "\u548c" if east_asian else " and " if english else ", "
        comma = comma or ("\u3001" if east_asian else ", ")
        if len(self.now) == 2 and last.strip(_NO_WORDS):
            last = last.lstrip(_COMMAS)
        return [*[comma] * (len(self.now) - 2), last][: len(self.now) - 1]


def with_objects(
    text: str,
    spans: Sequence[tuple[int, int]],
    objects: Sequence[Sequence[str]],
    added: Sequence[tuple[int, str]] = (),
    related: bool = True,
) -> tuple[str, list[int]]:
    """The text with other objects in it.

    Args:
        spans: where the text mentions objects now, from left to right.
        objects: the replacement for each span: itself, another object, several, or nothing.
        added: further objects, each with the index of the object to insert it before; where that is not in
            the last row, it is appended.
        related: whether relations such as "to the left of" still hold; otherwise their objects become a row.

    Returns:
        The text, and which of the objects to remove were kept because the sentence needs them.
    """
    rows, between = _rows(text, spans, related)
    stay: list[int] = []
    inside: dict[int, list[str]] = {}  # additions to the last row, by the object that they precede
    if rows:
        rows[-1].now = [words for place in rows[-1].places for words in objects[place]]
        if rows[-1].now and _takes_more(rows[-1], between):
            inside = {
                place: [words for before, words in added if before == place] for place in rows[-1].places
            }
    rest = [words for place, words in added if place not in inside]
    for row in rows:
        row.now = [words for place in row.places for words in (*inside.get(place, ()), *objects[place])]
    for row in [row for row in rows if not row.now]:
        if not _drop(rows, between, rows.index(row)):
            row.now = list(row.before)
            stay += row.places
    if rest and rows and _takes_more(rows[-1], between):
        rows[-1].now += rest
    elif rest:
        between[-1] = _with_more(between[-1], rest, bool(rows))
    pieces = [piece for place, row in enumerate(rows) for piece in (_agreeing(between[place], row), row.text)]
    return "".join([*pieces, between[-1]]), stay


def _rows(text: str, spans: Sequence[tuple[int, int]], related: bool) -> tuple[list[_Row], list[str]]:
    """All rows of a text, and the text before, between and after them."""
    rows: list[_Row] = []
    between: list[str] = []
    done = 0
    for place, (start, end) in enumerate(spans):
        gap = text[done:start]
        if rows and _JOINT.fullmatch(gap):
            rows[-1].joints.append(gap)
        elif rows and not related and (opening := _opening(between[-1], gap, rows[-1])) is not None:
            between[-1] = opening
        else:
            between.append(gap)
            rows.append(_Row())
        rows[-1].places.append(place)
        rows[-1].before.append(text[start:end])
        done = end
    return rows, [*between, text[done:]]


def _opening(before: str, gap: str, row: _Row) -> str | None:
    """The text before a row without its relation to the next object; None if there is no relation."""
    first = _RELATED_FIRST.search(before)
    if len(row.before) == 1 and first and _THERE_IS_BETWEEN.fullmatch(gap):
        return before[: first.start()]
    return before if _RELATED.fullmatch(gap) else None


def _drop(rows: list[_Row], between: list[str], place: int) -> bool:
    """Removes a row with the words that relate it to others; returns whether the sentence allows it."""
    before, after = between[place], between[place + 1]
    first, related = _RELATED_FIRST.search(before), _RELATED.search(before)
    own, afterthought = _SENTENCE_OF_ITS_OWN.search(before), _AFTERTHOUGHT.search(before)
    opening = _RELATED_FIRST.search(between[place - 1]) if place else None
    follows = place + 1 < len(rows)
    if follows and first and _THERE_IS_BETWEEN.fullmatch(after):  # above [a cat] there is a dog
        joined = before[: first.start()]
    elif opening and _THERE_IS_BETWEEN.fullmatch(before):  # above a cat there is [a dog]
        between[place - 1] = between[place - 1][: opening.start()]
        joined = after
    elif related and (place or related.start()) and not _VERB_ALONE.search(before[: related.start()]):
        joined = before[: related.start()] + after  # a cat on [a sofa]
    elif follows and _RELATED.fullmatch(after):  # [a cat] on a sofa
        joined = before
    elif len(rows) > 1 and own and after[:1] in tuple(".!?"):  # There is also [a cat].
        joined = before[: own.start()] + after[1:]
    elif len(rows) > 1 and afterthought and _ends(after):  # a dog sleeping, and [a cat]
        joined = before[: afterthought.start()] + after
    else:
        return False
    between[place : place + 2] = [joined]
    del rows[place]
    return True


def _takes_more(row: _Row, between: Sequence[str]) -> bool:
    """Whether the last row can grow: it has several objects, or its object ends a sentence of its own."""
    if len(row.before) > 1 or len(row.now) > 1:
        return True
    before = between[-2]
    alone = len(between) == 2 or SENTENCE_MARK.search(before)
    return bool(alone) and _ends(between[-1])


def _ends(after: str) -> bool:
    """Whether a sentence ends here, or continues with nothing but its background."""
    rest = after.lstrip(SPACES)
    return bool(not rest or SENTENCE_MARK.match(rest) or BACKGROUND.match(after))


def _with_more(text: str, added: Sequence[str], continues: bool) -> str:
    """A text with further objects after its first sentence. `continues`: whether other objects precede it."""
    listed = _Row(now=list(added)).text
    english, east_asian = _first_word(added[0]) in DETERMINERS, _EAST_ASIAN.search(listed)
    mark = SENTENCE_MARK.search(text)
    end = mark.start() if mark else len(text.rstrip(SPACES))
    sentence, rest = text[:end], text[end:]
    if rest[:1] in tuple(".!?"):
        verb = "are" if len(added) > 1 or _is_many(added[0]) else "is"
        words = f"There {verb} also {listed}" if english else listed
        return f"{sentence}{rest[0]} {words}.{rest[1:]}"
    background = BACKGROUND.search(sentence)
    if background and background.end() == len(sentence):
        sentence, rest = sentence[: background.start()], sentence[background.start() :] + rest
    joint = ", and " if english else ", "
    if east_asian:
        joint = "\u3001" if _KANA.search(listed) else "\uff0c\u8fd8\u6709"
    return f"{sentence.rstrip(_COMMAS)}{joint if continues or sentence else ''}{listed}{rest}"


def _agreeing(before: str, row: _Row) -> str:
    """The text before a row, with "there is" or "there are" agreeing with it."""
    there = _THERE_IS.search(before)
    if not there or row.now == row.before:
        return before
    verb = there["verb"]
    if len(row.now) > 1 or _is_many(row.now[0]):
        verb = "are"
    elif _first_word(row.now[0]) in _SINGULAR:
        verb = "is"
    return f"{before[: there.start()]}{there['there']}{verb}{there['gap']}"


def _first_word(words: str) -> str:
    match = _FIRST_WORD.match(words)
    return match[1].lower() if match else ""


def _is_many(words: str) -> bool:
    first = _first_word(words)
    return first in _MANY or (number(first) or 1) > 1
