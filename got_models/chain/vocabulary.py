"""What a checkpoint knows, if it knows little: the words, counts and pictures of its training.

Optional entry "vocabulary" of got.json. A checkpoint without it is assumed to know everything.

    name             what the checkpoint is called in a sentence, by language; English is required
    objects, colors  the words for what it draws, in the singular
    words            all other words that it has learned, including plurals; in lower case
    most_objects     the most objects that it draws
    edits_need_boxes whether it can edit only what a plan has boxes for
    pictures         which pictures it can process: objects of these colours on one of these backgrounds
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import GoTError, printable, short_repr
from ..files.entries import FLAG, Kind, check_entries, list_of, number, whole

MAX_WORDS = 4096
MAX_NAME = 60  # characters
_WORD = re.compile(r"[^\W\d_]{1,40}")
_LANGUAGE = re.compile(r"[a-z]{2}")

WORD = Kind(
    "one word in lower case",
    lambda value: isinstance(value, str) and bool(_WORD.fullmatch(value)) and value == value.casefold(),
)
COLOR = Kind(
    "a colour such as #e61919",
    lambda value: isinstance(value, str) and re.fullmatch("#[0-9a-f]{6}", value) is not None,
)
WORDS = list_of(WORD, 0, MAX_WORDS)
NAME = Kind(
    f"a name by language, such as en, each of 1 to {MAX_NAME} characters",
    lambda value: isinstance(value, dict) and "en" in value and all(map(_is_name, value, value.values())),
)
ENTRIES = {
    "name": NAME,
    "objects": list_of(WORD, 1, MAX_WORDS),
    "colors": WORDS,
    "words": WORDS,
    "most_objects": whole(1, 1000),
    "edits_need_boxes": FLAG,
}
PICTURES = {
    "colors": list_of(COLOR, 1),
    "grounds": list_of(COLOR, 1),
    "reach": number(0, 442),
    "share": number(0, 1),
    "strays": number(0, 1),
}


@dataclass(frozen=True)
class PictureKind:
    """Pictures with objects of some colours (#rrggbb) on a background of one colour.

    At least `share` of the pixels are within `reach`, in RGB, of one of the `colors` or of the most frequent
    of the `grounds`, and at most `strays` of them only within reach of another ground.
    """

    colors: tuple[str, ...]
    grounds: tuple[str, ...]
    reach: float
    share: float
    strays: float


@dataclass(frozen=True)
class Vocabulary:
    """The entries of "vocabulary" in got.json; see the module's docstring."""

    name: Mapping[str, str]
    objects: tuple[str, ...]
    colors: tuple[str, ...]
    words: tuple[str, ...]
    most_objects: int
    edits_need_boxes: bool
    pictures: PictureKind


def read_vocabulary(file: Path, values: object) -> Vocabulary:
    """
    Args:
        file: the file that holds the values, for messages.

    Raises:
        GoTError: an entry is missing, unknown, of another type or out of range.
    """
    entries = _exactly(file, "'vocabulary'", values, {*ENTRIES, "pictures"})
    check_entries(file, entries, ENTRIES)
    pictures = _exactly(file, "'pictures'", entries["pictures"], {*PICTURES})
    check_entries(file, pictures, PICTURES)
    return Vocabulary(
        name=dict(entries["name"]),
        objects=tuple(entries["objects"]),
        colors=tuple(entries["colors"]),
        words=tuple(entries["words"]),
        most_objects=entries["most_objects"],
        edits_need_boxes=entries["edits_need_boxes"],
        pictures=PictureKind(
            colors=tuple(pictures["colors"]),
            grounds=tuple(pictures["grounds"]),
            reach=pictures["reach"],
            share=pictures["share"],
            strays=pictures["strays"],
        ),
    )


def _exactly(file: Path, where: str, values: object, keys: set[str]) -> dict[str, Any]:
    if not isinstance(values, dict) or set(values) != keys:
        raise GoTError(
            f"{file}: {where} must hold exactly {', '.join(sorted(keys))}; got {short_repr(values)}."
        )
    return values


def _is_name(language: object, name: object) -> bool:
    return (
        isinstance(language, str)
        and _LANGUAGE.fullmatch(language) is not None
        and isinstance(name, str)
        and 0 < len(name) <= MAX_NAME
        and name == printable(name)
    )
