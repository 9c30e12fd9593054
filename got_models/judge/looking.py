"""Looking for a plan's objects in a picture, with the checkpoint that drew it or another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..chain.chain import Box, ReasoningChain
from ..chain.english import ARTICLES
from ..edit_area import edited_area
from ..errors import GoTError
from ..mllm.settings import GENERATION_DEFAULTS, GenerationSettings
from .verdict import Verdict, compare

if TYPE_CHECKING:
    from ..pipeline import GoTModel


def judge(
    model: GoTModel,
    chain: ReasoningChain,
    picture: Image.Image,
    settings: GenerationSettings = GENERATION_DEFAULTS,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Verdict:
    """Lets a model look for every phrase of a plan in its picture.

    Each phrase is asked for alone: asked for several things, a model tends to find them all.

    Args:
        chain: a plan to generate a picture. The boxes of an edit hold what was there before.
        settings, should_stop: as in `Reasoner.write`.

    Raises:
        GoTError: the plan cannot be compared, or an answer is no list of boxes.
        Interrupted: `should_stop` returned true.
    """
    check_plan(chain)
    found: dict[str, list[Box]] = {}
    for phrase in dict.fromkeys(region.phrase for region in chain.regions):
        seen = model.locate(picture, [definite(phrase)], settings, should_stop=should_stop)
        found[phrase] = [element.grid_box for element in seen.elements if element.grid_box]
    return compare(chain.regions, found)


def check_plan(chain: ReasoningChain) -> None:
    """Raises a GoTError for a plan that cannot be compared with a picture."""
    if chain.task != "generate":
        raise GoTError(
            "The plan is of an edit: its boxes hold what was there before, so the result cannot be compared "
            "with them. Give the plan of a generated picture."
        )
    if not chain.regions:
        raise GoTError(
            "The plan has no box, so there is nothing to compare the picture with. Write a box after an "
            "object, such as a red circle (62,62),(438,438)."
        )
    for number, region in enumerate(chain.regions, start=1):
        if not region.phrase:
            raise GoTError(f"Box {number} of the plan has no words, so it cannot be looked for. Name it.")


def definite(phrase: str) -> str:
    """The phrase with "the" in place of "a" or "an": the question is about things that may be there."""
    first, _, rest = phrase.partition(" ")
    return f"the {rest}" if first.lower() in ARTICLES and rest else phrase


def changed_outside(before: Image.Image, after: Image.Image, chain: ReasoningChain) -> float:
    """How much an edit changed outside its plan's boxes: the mean difference of the colours, from 0 to 1.

    0 if the boxes cover the whole picture.
    """
    if after.size != before.size:
        after = after.resize(before.size, Image.Resampling.LANCZOS)
    one, other = (np.asarray(picture.convert("RGB"), dtype=np.float32) / 255 for picture in (before, after))
    outside = edited_area(chain.regions, (before.height, before.width)).numpy() == 0
    return float(np.abs(one - other)[outside].mean()) if outside.any() else 0.0
