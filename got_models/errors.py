"""The one exception for mistakes a person can mend."""

from __future__ import annotations


class GoTError(ValueError):
    """Something the user gave cannot be used; the message says what was expected, what came, what to do."""


class Interrupted(Exception):
    """The user asked to stop: raised between two tokens, two sampling steps or two training steps."""
