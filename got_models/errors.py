"""The one exception for mistakes a person can fix, and how values from outside are shown in its message."""

from __future__ import annotations

import re
import reprlib
from typing import Any

MAX_MESSAGE, KEPT_END = 4000, 400
"""Maximum characters of a message; and how many are kept at the end of a longer one, where the advice is."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal, a log or a JSON encoder interprets or rejects; tab and line feed are kept."""


def printable(text: str) -> str:
    r"""The text with control characters and lone surrogates as escapes such as \x1b.

    It can then be encoded, logged and shown anywhere, and untrusted text cannot control a terminal.
    """
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


class GoTError(ValueError):
    """Invalid input from the user; the message says what was expected, what was received, what to do.

    The message is made `printable` and truncated here, once for every caller: many messages quote a library's
    own, which may repeat a whole file.

    Attributes:
        sentence: the message as it was given; a `Note` can also be said in other languages.
    """

    def __init__(self, message: object = "") -> None:
        self.sentence = message
        text = printable(str(message))
        if len(text) > MAX_MESSAGE:
            text = f"{text[: MAX_MESSAGE - KEPT_END]} ... {text[-KEPT_END:]}"
        super().__init__(text)


class Interrupted(Exception):
    """The user asked to stop: raised between two tokens, two denoising steps or two training steps."""


class _ShortRepr(reprlib.Repr):
    def repr_int(self, value: int, level: int) -> str:
        try:
            return super().repr_int(value, level)
        except ValueError:  # Python does not format integers of more than 4300 digits
            return f"a whole number of {value.bit_length()} bits"


def short_repr(value: Any, limit: int = 60) -> str:
    """About `limit` characters of a value's repr.

    Unlike `f"{value!r:.60}"` it never builds the whole repr, which for untrusted nested data can exceed
    memory.
    """
    shortener = _ShortRepr()
    shortener.maxlevel = 3
    shortener.maxstring = shortener.maxother = shortener.maxlong = limit
    text = shortener.repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
