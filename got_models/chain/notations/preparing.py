"""What is done to a reply in any notation before it is read."""

from __future__ import annotations

from ...errors import short_repr
from ...notes import Note
from ..notation import scan
from .markup import from_markup
from .rows import from_rows
from .spelling import respelled
from .thoughts import without_thoughts
from .tolerant_json import unescaped


def prepared(text: str) -> tuple[str, tuple[str, ...]]:
    """The text without escapes and thoughts, with boxes in rows and markup as JSON; and notes on this.

    Raises:
        GoTError: there are only thoughts.
    """
    text, thoughts = without_thoughts(unescaped(text))
    notes: list[str] = [Note("thoughts", words=short_repr(thoughts))] if thoughts else []
    if not scan(text)[0]:
        text, note = from_rows(from_markup(respelled(text)))
        notes += [note] if note else []
    return text, tuple(notes)
