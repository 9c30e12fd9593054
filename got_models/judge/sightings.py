"""Things that a detector has found, assigned to a plan's phrases."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..chain.chain import Box, Region
from ..chain.notations.plan import Element

_WORD = re.compile(r"\w+")
_ARTICLES = {"a", "an", "the"}


def boxes_by_phrase(regions: Sequence[Region], found: Sequence[Element]) -> dict[str, list[Box]]:
    """The boxes that belong to each phrase: those whose label it holds, or that hold it; or have no label.

    A detector calls "a sleeping red fox" a "fox".
    """
    return {
        region.phrase: [
            element.grid_box for element in found if element.grid_box and _same(region.phrase, element.phrase)
        ]
        for region in regions
    }


def _same(phrase: str, label: str) -> bool:
    one, other = _words(phrase), _words(label)
    return one <= other or other <= one


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold())) - _ARTICLES
