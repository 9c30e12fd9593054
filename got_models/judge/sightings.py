"""Things that a detector has found, assigned to a plan's phrases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..chain.chain import Box
from ..chain.notations.plan import Element
from .asked import Asked

_WORD = re.compile(r"\w+")
_UNSAID = frozenset("a an the small little tiny medium large big huge".split())  # noqa: SIM905
"""Words that no detector says: articles, and sizes, which its boxes show."""


@dataclass(frozen=True)
class Sightings:
    """What a detector has found of a plan.

    Attributes:
        boxes: of each phrase.
        labels: of a phrase and a box, the detector's word for it, where that fits other phrases as well: of
            a "circle" nobody knows whether it is the red or the blue one.
    """

    boxes: dict[str, list[Box]]
    labels: dict[tuple[str, Box], str]


def sightings(asked: Sequence[Asked], found: Sequence[Element]) -> Sightings:
    """The boxes that belong to each phrase: those whose label it holds, or that hold it; or have no label.

    A detector calls "a sleeping red fox" a "fox".
    """
    phrases = list(dict.fromkeys(item.phrase for item in asked))
    boxes: dict[str, list[Box]] = {phrase: [] for phrase in phrases}
    labels: dict[tuple[str, Box], str] = {}
    for element in found:
        box = element.grid_box
        if box is None:
            continue
        fitting = [phrase for phrase in phrases if _same(phrase, element.phrase)]
        for phrase in fitting:
            boxes[phrase].append(box)
            if len(fitting) > 1 and _words(element.phrase) < _words(phrase):
                labels[phrase, box] = element.phrase
    return Sightings(boxes, labels)


def _same(phrase: str, label: str) -> bool:
    one, other = _words(phrase), _words(label)
    return one <= other or other <= one


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold())) - _UNSAID
