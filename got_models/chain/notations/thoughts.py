"""What a language model thinks before it answers: no part of the plan, however many boxes it holds."""

from __future__ import annotations

import re

from ...errors import GoTError, short_repr
from ...notes import Note
from ..characters import clean

_NAMES = r"(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis)"
_OPENS = re.compile(rf"<{_NAMES}>", re.IGNORECASE)
_CLOSES = re.compile(rf"</{_NAMES}>", re.IGNORECASE)
_CHANNEL = re.compile(r"<\|channel\|?>\s?(?:final|answer)\s?(?:<\|message\|>)?", re.IGNORECASE)
_OTHER_CHANNEL = re.compile(r"<\|?channel\|?>\s?(?:analysis|thought)", re.IGNORECASE)
_CONTROL = re.compile(r"<\|(?:end|return|im_end|eot_id|endoftext|start|message)\|>(?:assistant)?|</s>\Z")


def without_thoughts(text: str) -> tuple[str, str]:
    """The answer behind the thoughts, and the thoughts.

    Raises:
        GoTError: there are only thoughts.
    """
    ends = [match.end() for pattern in (_CLOSES, _CHANNEL) for match in pattern.finditer(text)]
    answer = text[max(ends, default=0) :]
    thoughts = text[: len(text) - len(answer)]
    if opens := _OPENS.search(answer) or (_OTHER_CHANNEL.search(answer) if not ends else None):
        thoughts += answer[opens.start() :]
        answer = answer[: opens.start()]
    if thoughts:
        thoughts = clean(_CONTROL.sub(" ", _CLOSES.sub("", _OPENS.sub("", thoughts)))).strip()
        answer = _CONTROL.sub(" ", answer)
        if not answer.strip():
            raise GoTError(Note("only_thoughts", words=short_repr(thoughts, 120)))
    return answer, thoughts
