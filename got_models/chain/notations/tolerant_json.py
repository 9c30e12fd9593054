"""JSON as language models write it, parsed as data and never executed.

Understood besides JSON: single and typographic quotes, quotes inside texts, line breaks in texts, trailing
and missing commas, comments, keys without quotes, Python's literals and tuples, wrong closing brackets, and
an end in the middle.
"""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from typing import Any

from ...errors import GoTError
from ...notes import Note
from .plan import MAX_TEXT

MAX_DEPTH = 40
MAX_VALUES = 50_000
_ESCAPED = re.compile(r"[\[{]\s{0,99}\\\"")
_PLAIN_QUOTE = re.compile(r"(?<!\\)\"")
_OPENING = re.compile(r"[{\[]")
_SKIPPED = re.compile(r"(?:[\s\ufeff]+|//[^\n]*|/\*.*?(?:\*/|\Z)|#(?![0-9A-Fa-f]{6}\b)[^\n]*)+", re.DOTALL)
_NUMBER = re.compile(r"[-+\u2212]?(?:[0-9][0-9_]*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![\w%.])")
_WORD = re.compile(r"[^,:{}\[\]()\n\"'\uff0c\uff1a]+")
_CLOSING = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\u201c": "\u201d",
    "\u2018": "\u2019",
    "\u300c": "\u300d",
    "\u00ab": "\u00bb",
}
_NEXT = (
    r"[\"'`{\[(\]})\u201c\u2018\u00ab]|[-+]?\.?[0-9]|[\w -]{1,40}[:=]|(?:true|false|null|None|True|False)\b"
    r"|\Z|/[/*]|#"
)
_AFTER_TEXT = re.compile(
    rf"[^\S\n]{{0,99}}(?:[:}}\])\uff1a\n]|\Z|/[/*]|#|[,;\uff0c]\s{{0,99}}(?:{_NEXT})"
    r"|(?<=\s)[\"'][^\"'\n]{1,40}[\"']\s?:)"
)
"""What may follow the quote that ends a text; a quote before anything else belongs to the text."""

_NEXT_KEY = re.compile(r"\}\s{0,99},\s{0,99}[\"'\u201c]?[\w -]{1,40}[\"'\u201d]?\s{0,9}[:\uff1a]")
"""A list that ends with the wrong bracket, inside an object that continues."""

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_LITERALS = {"true": True, "false": False, "null": None, "none": None, "undefined": None}
_NOT_NUMBERS = {
    "nan": math.nan,
    "infinity": math.inf,
    "inf": math.inf,
    "-infinity": -math.inf,
    "-inf": -math.inf,
}
_COMMAS, _COLONS = ",;\uff0c", ":=\uff1a"


@dataclass(frozen=True)
class Found:
    """A JSON value in a text, with its span. `complete`: whether the text did not end within it."""

    value: Any
    start: int
    end: int
    complete: bool


def unescaped(text: str) -> str:
    """The text without the escapes of a string or a web page in which its JSON was kept."""
    if "&quot;" in text:
        text = html.unescape(text)
    if not _ESCAPED.search(text) or _PLAIN_QUOTE.search(text.strip().strip('"')):
        return text
    return text.replace('\\"', '"').replace("\\n", "\n")


def find_json(text: str) -> list[Found]:
    """All objects and lists in a text, in order. Brackets around mere words are prose.

    Raises:
        GoTError: the text is too long, or what it holds too deep or too large.
    """
    _check_length(text)
    found: list[Found] = []
    place, values = 0, 0
    while match := _OPENING.search(text, place):
        parser = _Parser(text, match.start(), values)
        value = parser.value(0)
        values = parser.values
        if _holds_data(value):
            found.append(Found(value, match.start(), parser.place, parser.complete))
        place = max(parser.place, match.end())
    return found


def first_list(text: str) -> Found | None:
    """The first list in a text, also one of mere words; None if there is none.

    Raises:
        GoTError: as `find_json`.
    """
    _check_length(text)
    start = text.find("[")
    if start < 0:
        return None
    parser = _Parser(text, start, 0)
    return Found(parser.value(0), start, parser.place, parser.complete)


def _check_length(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise GoTError(Note("plan_too_long", most=str(MAX_TEXT)))


def _holds_data(value: Any) -> bool:
    """Whether a value is more than words in brackets."""
    if isinstance(value, dict):
        return any(isinstance(entry, (dict, list)) or entry not in (None, "") for entry in value.values())
    numbers = sum(isinstance(entry, (int, float)) for entry in value)
    return numbers >= 4 or any(isinstance(entry, (dict, list)) for entry in value)


class _Parser:
    """Parses one value at a position; `place` is then after it."""

    def __init__(self, text: str, place: int, values: int) -> None:
        self.text, self.place, self.values, self.complete = text, place, values, True

    def value(self, depth: int) -> Any:
        self.values += 1
        if depth > MAX_DEPTH or self.values > MAX_VALUES:
            raise GoTError(Note("plan_too_nested"))
        self._skip()
        start = self.text[self.place : self.place + 1]
        if start == "{":
            return self._object(depth)
        if start and start in "[(":
            return self._list(depth, "]" if start == "[" else ")")
        if start in _CLOSING:
            return self._quoted(start)
        return self._bare()

    def _skip(self, also: str = "") -> bool:
        """Skips spaces, comments and the characters in `also`; returns whether one of these was there."""
        met = False
        while True:
            if match := _SKIPPED.match(self.text, self.place):
                self.place = match.end()
            if not also or not self.text[self.place : self.place + 1] or self.text[self.place] not in also:
                return met
            self.place += 1
            met = True

    def _closes(self, closing: str) -> bool:
        """Whether an object or list ends here; another bracket ends it too, and is left for the outer one."""
        if self.text[self.place : self.place + 1] == ")" != closing:
            self.place += 1
            self._skip(_COMMAS)
        here = self.text[self.place : self.place + 1]
        self.complete &= bool(here)
        self.place += here == closing or (closing == "]" and bool(_NEXT_KEY.match(self.text, self.place)))
        return not here or here in "}])"

    def _object(self, depth: int) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        self.place += 1
        while True:
            self._skip(_COMMAS)
            if self._closes("}"):
                return entries
            before = self.place
            key = None if self.text[self.place] in "{[(" else self._key()
            if key is None or self._skip(_COLONS):
                key = key or ""
                value = self._unless_cut_off(self.value(depth + 1))
                while key in entries:  # written twice: both count
                    key += "'"
                entries[key] = value
            if self.place == before:
                self.place += 1

    def _key(self) -> str:
        if self.text[self.place] in _CLOSING:
            return self._quoted(self.text[self.place])
        match = _WORD.match(self.text, self.place)
        self.place = match.end() if match else self.place
        return match[0].strip() if match else ""

    def _list(self, depth: int, closing: str) -> list[Any]:
        entries: list[Any] = []
        self.place += 1
        while True:
            self._skip(_COMMAS)
            if self._closes(closing):
                return entries
            before = self.place
            value = self._unless_cut_off(self.value(depth + 1))
            if self.place == before:
                self.place += 1
            else:
                entries.append(value)

    def _unless_cut_off(self, value: Any) -> Any:
        """The value; None for a number at the end of the text, which may be truncated."""
        return None if self.place >= len(self.text) and isinstance(value, (int, float)) else value

    def _quoted(self, opening: str) -> str:
        """A string up to the first quote whose following text can follow a string."""
        pieces: list[str] = []
        self.place += 1
        start, closing = self.place, _CLOSING[opening]
        while self.place < len(self.text):
            sign = self.text[self.place]
            if sign == "\\":
                pieces.append(self.text[start : self.place])
                pieces.append(self._escaped())
                start = self.place
                continue
            if sign == closing and _AFTER_TEXT.match(self.text, self.place + 1):
                pieces.append(self.text[start : self.place])
                self.place += 1
                return "".join(pieces)
            self.place += 1
        self.complete = False
        return "".join([*pieces, self.text[start:]])

    def _escaped(self) -> str:
        sign = self.text[self.place + 1 : self.place + 2]
        code = self.text[self.place + 2 : self.place + 6]
        if sign == "u" and re.fullmatch("[0-9a-fA-F]{4}", code):
            self.place += 6
            unit = int(code, 16)
            low = re.match(r"\\u(d[c-f][0-9a-f]{2})", self.text[self.place : self.place + 6], re.IGNORECASE)
            if 0xD800 <= unit < 0xDC00 and low:
                self.place += 6
                return chr(0x10000 + ((unit - 0xD800) << 10) + int(low[1], 16) - 0xDC00)
            return chr(unit)
        self.place += 2
        return _ESCAPES.get(sign, sign)

    def _bare(self) -> Any:
        """A number, a literal, or unquoted words."""
        if match := _NUMBER.match(self.text, self.place):
            self.place = match.end()
            digits = match[0].replace("_", "").replace("\u2212", "-")
            number = float(digits)
            whole = re.fullmatch("[-+]?[0-9]{1,15}", digits)
            return int(digits) if whole else number
        words = _WORD.match(self.text, self.place)
        if not words:
            return None
        self.place = words.end()
        said = words[0].strip()
        if said.lower() in _NOT_NUMBERS:
            return _NOT_NUMBERS[said.lower()]
        return _LITERALS.get(said.lower(), said)
