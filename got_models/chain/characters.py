"""The characters that a chain may hold: Unicode's composed form (NFC), and nothing invisible."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

SPACES = " \t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""All whitespace that separates words on one line."""

_LINE_END = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
"""Control characters, zero-width spaces and text direction marks. Joiners are kept: emoji need them."""

_MAX_MARKS = 30  # per letter, as in Unicode's stream-safe format; NFC takes quadratic time for more


def composed(text: str) -> str:
    """The text in NFC, which is what the tokenizer expects, in linear time."""
    if text.isascii():
        return text
    return _bounded(unicodedata.normalize("NFC", _bounded(text)))  # twice: NFC decomposes some characters


def _bounded(text: str) -> str:
    """The text with at most `_MAX_MARKS` combining marks per letter."""
    marks = 0
    kept = []
    for character in text:
        marks = marks + 1 if unicodedata.category(character)[0] == "M" else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def clean(text: str) -> str:
    """The text in NFC, with line feeds as line ends, and without control and zero-width characters."""
    return composed(_INVISIBLE.sub("", _LINE_END.sub("\n", text)))


def place_in_original(text: str, position: int) -> int:
    """The index in a text of the character at index `position` of its clean form."""
    if clean(text) == text:
        return position
    return bisect_right(range(len(text) + 1), position, key=lambda end: len(clean(text[:end]))) - 1
