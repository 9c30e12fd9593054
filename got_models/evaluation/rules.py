"""Whether things with names and boxes are what a prompt asks for: the same rule for plans and pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from ..chain.chain import Box
from ..chain.english import plural
from .prompts import Prompt, Wanted

_WORD = re.compile(r"\w+")
_APART = 0.1
"""The share of both sizes together by which two middles may differ and still be level."""
_MOSTLY = 0.5
"""The share of the way between two middles that has to lead to a side, beyond what is level."""
Thing = tuple[str, Box]
"""What something is called, and where it is."""


@dataclass(frozen=True)
class Met:
    """Which of a prompt's wishes are met; None where it has no such wish."""

    counts: bool | None
    colors: bool | None
    positions: bool | None

    @property
    def all(self) -> bool | None:
        """Whether all are; None for a prompt that wishes nothing."""
        wishes = [met for met in (self.counts, self.colors, self.positions) if met is not None]
        return all(wishes) if wishes else None


def met(prompt: Prompt, things: Sequence[Thing]) -> Met:
    """Compares things with a prompt.

    There have to be at least as many of a class as it asks for, and fewer than it excludes; so many of them
    in the colour that it names; and one of them on the side that it names of another entry's. GenEval asks
    that of the things that its detector is surest of; plans and boxes here say nothing of the kind.
    """
    named = [[thing for thing in things if is_called(thing[0], wanted.name)] for wanted in prompt.include]
    pairs = list(zip(prompt.include, named, strict=True))
    enough = [len(own) >= wanted.count for wanted, own in pairs]
    few = [sum(is_called(words, item.name) for words, _ in things) < item.count for item in prompt.exclude]
    colored = [
        sum(_holds(words, wanted.color) for words, _ in own) >= wanted.count
        for wanted, own in pairs
        if wanted.color
    ]
    placed = [_placed(wanted, own, named) for wanted, own in pairs if wanted.position]
    return Met(_all(enough + few), _all(colored), _all(placed))


def is_called(phrase: str, name: str) -> bool:
    """Whether a phrase names a thing of a class: "two red traffic lights" one of "traffic light".

    GenEval's prompts form plurals by an s alone ("benchs"), and plans repeat them.
    """
    *first, last = _WORD.findall(name.casefold())
    return any(_holds(phrase, " ".join([*first, word])) for word in (last, plural(last), f"{last}s"))


def _holds(phrase: str, words: str) -> bool:
    """Whether a phrase holds these words, next to each other."""
    said, sought = _WORD.findall(phrase.casefold()), _WORD.findall(words.casefold())
    return any(said[start : start + len(sought)] == sought for start in range(len(said) - len(sought) + 1))


def _placed(wanted: Wanted, own: Sequence[Thing], named: Sequence[Sequence[Thing]]) -> bool:
    if wanted.position is None:
        return True
    relation, other = wanted.position
    return any(_stands(box, relation, there) for _, box in own for _, there in named[other] if box != there)


def _stands(one: Box, relation: str, other: Box) -> bool:
    """Whether one box is on that side of another, by their middles and as GenEval has it."""
    axis = 0 if relation in ("left of", "right of") else 1
    sizes = ((one.x2 - one.x1, one.y2 - one.y1), (other.x2 - other.x1, other.y2 - other.y1))
    offsets = [here - there for here, there in zip(one.center, other.center, strict=True)]
    offset = -offsets[axis] if relation in ("left of", "above") else offsets[axis]
    return offset - _APART * (sizes[0][axis] + sizes[1][axis]) > _MOSTLY * hypot(*offsets)


def _all(wishes: Sequence[bool]) -> bool | None:
    return all(wishes) if wishes else None
