"""Prompts with what a picture of them has to show, in the format of GenEval's metadata.

One JSON object on a line, as in https://github.com/djghosh13/geneval (Ghosh et al., GenEval, NeurIPS 2023,
arXiv 2310.11513):

    {"tag": "position",
     "include": [{"class": "bench", "count": 1}, {"class": "dog", "count": 1, "position": ["right of", 0]}],
     "prompt": "a photo of a dog right of a bench"}

Its tags are single_object, two_object, counting, colors, position and color_attr; others are welcome.
`position` names a relation and the index of the entry that it refers to. `exclude` says of a class how many
are too many. A line with nothing but a prompt asks for nothing that a rule could check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import GoTError, short_repr
from ..files.text_files import read_text
from ..mllm.prompts import check_prompt

RELATIONS = ("left of", "right of", "above", "below")
UNTAGGED = "prompts"
"""The tag of lines that have none."""
_MAX_FILE, _MAX_PROMPTS, _MAX_COUNT = 20_000_000, 100_000, 64


@dataclass(frozen=True)
class Wanted:
    """So many things of a class: at least `count`, in this colour, standing so to those of another entry."""

    name: str
    count: int = 1
    color: str = ""
    position: tuple[str, int] | None = None


@dataclass(frozen=True)
class Prompt:
    """A prompt, the kind of task that it is, and what it asks for; `exclude`: too many of a class.

    `metadata`: the line as it was read, with what GenEval's own evaluation needs and it leaves out.
    """

    prompt: str
    tag: str
    include: tuple[Wanted, ...]
    exclude: tuple[Wanted, ...]
    metadata: Mapping[str, Any]

    @property
    def rules(self) -> dict[str, Any]:
        """What `include` and `exclude` were read from."""
        return {name: self.metadata[name] for name in ("include", "exclude") if name in self.metadata}


def read_prompts(file: Path) -> list[Prompt]:
    """
    Raises:
        GoTError: the file cannot be read, holds no prompt, or a line is not one; names the line.
    """
    prompts = []
    for number, line in enumerate(read_text(file, _MAX_FILE).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            prompts.append(prompt_of(json.loads(line)))
        except GoTError as error:
            raise GoTError(f"{file.name}, line {number}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise GoTError(
                f"{file.name}, line {number}: expected a JSON object, got {short_repr(line)}."
            ) from error
    if not 1 <= len(prompts) <= _MAX_PROMPTS:
        raise GoTError(
            f"{file.name} holds {len(prompts)} prompts; expected 1 to {_MAX_PROMPTS}, one on a line."
        )
    return prompts


def prompt_of(data: Any) -> Prompt:
    """The prompt that a line's object states.

    Raises:
        GoTError: an entry is missing or not of its kind.
    """
    if not isinstance(data, dict) or not isinstance(data.get("prompt"), str):
        raise GoTError(f'expected an object with a "prompt", got {short_repr(data)}.')
    check_prompt(data["prompt"])
    include, exclude = ([_wanted(entry) for entry in _list(data, name)] for name in ("include", "exclude"))
    for entry in include:
        if entry.position and not 0 <= entry.position[1] < len(include):
            raise GoTError(f'"position" refers to entry {entry.position[1]} of {len(include)}.')
    tag = data.get("tag", UNTAGGED)
    if not isinstance(tag, str) or not 0 < len(tag) <= 40 or not tag.isprintable():
        raise GoTError(f'"tag" is a short name, got {short_repr(tag)}.')
    whole: dict[str, Any] = {"tag": tag} | data
    for name in ("include", "exclude"):
        if name in data:
            whole[name] = [{"class": entry["class"], "count": 1} | entry for entry in data[name]]
    return Prompt(data["prompt"], tag, tuple(include), tuple(exclude), whole)


def _list(data: Mapping[str, Any], name: str) -> list[Any]:
    entries = data.get(name, [])
    if not isinstance(entries, list) or len(entries) > _MAX_COUNT:
        raise GoTError(f'"{name}" is a list of at most {_MAX_COUNT} objects, got {short_repr(entries)}.')
    return entries


def _names(value: Any) -> bool:
    """Whether a value is a text with at least one word."""
    return isinstance(value, str) and bool(re.search(r"\w", value))


def _wanted(entry: Any) -> Wanted:
    if not isinstance(entry, dict) or not _names(entry.get("class")):
        raise GoTError(f'expected an object with a "class", got {short_repr(entry)}.')
    count, color, position = entry.get("count", 1), entry.get("color", ""), entry.get("position")
    if type(count) is not int or not 1 <= count <= _MAX_COUNT:
        raise GoTError(f'"count" is a whole number from 1 to {_MAX_COUNT}, got {short_repr(count)}.')
    if "color" in entry and not _names(color):
        raise GoTError(f'"color" is a word, got {short_repr(color)}.')
    if position is not None:
        known = isinstance(position, list) and len(position) == 2 and position[0] in RELATIONS
        if not known or type(position[1]) is not int:
            raise GoTError(
                f'"position" is one of {", ".join(RELATIONS)} and the number of an entry, '
                f"got {short_repr(position)}."
            )
        position = (position[0], position[1])
    return Wanted(entry["class"].strip(), count, color, position)
