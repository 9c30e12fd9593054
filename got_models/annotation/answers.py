"""Reading an annotator's answers: each function raises a GoTError that says what is wrong with one."""

from __future__ import annotations

import re
from typing import Any

from ..chain.characters import clean
from ..chain.notation import holds_markup
from ..chain.notations.tolerant_json import first_list
from ..errors import GoTError, short_repr
from ..mllm.prompts import MAX_PROMPT_CHARACTERS

MOST_NAMES = 64
_QUOTES = "\"'\u201c\u201d`"


def words(answer: str) -> str:
    """Plain prose on one line."""
    text = " ".join(clean(answer).replace("**", "").split()).strip(_QUOTES)
    if not text:
        raise GoTError("It is empty.")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise GoTError(f"It has {len(text)} characters, at most {MAX_PROMPT_CHARACTERS} are of use.")
    if holds_markup(text):
        raise GoTError("It holds coordinates or special tokens, where words are expected.")
    return text


def sentence(answer: str) -> str:
    """Prose that ends with a full stop."""
    text = words(answer)
    return text if text.endswith((".", "!", "?", "\u3002")) else f"{text}."


def texts(answer: str) -> list[str]:
    """A JSON list of texts."""
    values = _list(answer)
    if not all(isinstance(value, str) and value.strip() for value in values):
        raise GoTError(f"Expected a JSON list of texts, got {short_repr(values)}.")
    return [words(value) for value in values]


def edited(answer: str) -> list[tuple[str, str]]:
    """A JSON list of edited objects: the name of each, and the kind of edit."""
    found: list[tuple[str, str]] = []
    for value in _list(answer):
        if not isinstance(value, dict) or not isinstance(value.get("object"), str):
            raise GoTError(f'Expected "object" and "edit" in each entry, got {short_repr(value)}.')
        if value.get("edit") not in ("change", "remove", "add", "move"):
            raise GoTError(f'"edit" is change, remove, add or move, got {short_repr(value.get("edit"))}.')
        found.append((words(value["object"]).rstrip("."), value["edit"]))
    if not found:
        raise GoTError("The list is empty.")
    return found


def yes_or_no(answer: str) -> bool:
    """Whether the answer is yes."""
    match = re.match(r"\W*(yes|no)\b", answer, re.IGNORECASE)
    if not match:
        raise GoTError(f"Expected yes or no, got {short_repr(answer.strip())}.")
    return match[1].lower() == "yes"


def _list(answer: str) -> list[Any]:
    found = first_list(answer)
    if found is None:
        raise GoTError(f"Expected a JSON list, got {short_repr(answer.strip())}.")
    if not found.complete:
        raise GoTError("The list ends in the middle.")
    if len(found.value) > MOST_NAMES:
        raise GoTError(f"Expected a list of at most {MOST_NAMES} entries, got {len(found.value)}.")
    return list(found.value)
