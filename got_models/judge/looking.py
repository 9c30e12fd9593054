"""Looking for a plan's objects in a picture, with the checkpoint that drew it or another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from ..chain.chain import Box, ReasoningChain
from ..chain.english import definite
from ..chain.notations.plan import Element
from ..chain.notations.qwen import NoBoxesError
from ..edit_area import edited_area
from ..errors import GoTError
from ..mllm.settings import GENERATION_DEFAULTS, GenerationSettings
from .asked import asked_of
from .changes import changed_pixels
from .sightings import Sightings, sightings
from .verdict import Verdict, compare

if TYPE_CHECKING:
    from ..pipeline import GoTModel


def judge(
    model: GoTModel,
    chain: ReasoningChain,
    picture: Image.Image,
    source: Image.Image | None = None,
    settings: GenerationSettings = GENERATION_DEFAULTS,
    *,
    should_stop: Callable[[], bool] | None = None,
) -> Verdict:
    """Lets a model look for every phrase of a plan in its picture.

    Each phrase is asked for alone: asked for several things, a model tends to find them all. What it answers
    without boxes it has not found, unless it answers so about everything.

    Args:
        chain: a plan to generate a picture or, with what becomes of its boxes said in words, to edit one.
        source: the picture that was edited, to see what has changed outside the boxes.
        settings, should_stop: as in `Reasoner.write`.

    Raises:
        GoTError: the plan cannot be compared, or no answer is a list of boxes.
        Interrupted: `should_stop` returned true.
    """
    check_plan(chain, source)
    found: dict[str, list[Box]] = {}
    unread: list[NoBoxesError] = []
    for phrase in dict.fromkeys(item.phrase for item in asked_of(chain)[0]):
        found[phrase] = []
        try:
            seen = model.locate(picture, [definite(phrase)], settings, should_stop=should_stop)
        except NoBoxesError as error:
            unread.append(error)
        else:
            found[phrase] = [element.grid_box for element in seen.elements if element.grid_box]
    if unread and len(unread) == len(found):
        raise unread[0]
    return verdict_on(chain, Sightings(found, {}), picture, source)


def judge_sightings(
    chain: ReasoningChain, found: Sequence[Element], picture: Image.Image, source: Image.Image | None = None
) -> Verdict:
    """The same with a detector's boxes in place of a model.

    Args:
        found: with the detector's words; a box without words may be anything.
    """
    check_plan(chain, source)
    return verdict_on(chain, sightings(asked_of(chain)[0], found), picture, source)


def verdict_on(
    chain: ReasoningChain, seen: Sightings, picture: Image.Image, source: Image.Image | None
) -> Verdict:
    """What was seen against what the plan asks for, and the picture against its source."""
    asked, unclear = asked_of(chain)
    verdict = compare(asked, seen.boxes, seen.labels, alone=chain.task == "generate")
    return replace(
        verdict,
        unclear=tuple(region.phrase for region in unclear),
        changed_outside=changed_outside(source, picture, chain) if source else None,
    )


def check_plan(chain: ReasoningChain, source: Image.Image | None = None) -> None:
    """Raises a GoTError for a plan that cannot be compared with a picture."""
    if chain.task == "generate" and source is not None:
        raise GoTError(
            "A source picture was given, but the plan is of a generated picture. Leave the source out, or "
            "give the plan of the edit."
        )
    if not chain.regions:
        raise GoTError(
            "The plan has no box, so there is nothing to compare the picture with. Write a box after an "
            "object, such as a red circle (62,62),(438,438)."
        )
    for number, region in enumerate(chain.regions, start=1):
        if not region.phrase:
            raise GoTError(f"Box {number} of the plan has no words, so it cannot be looked for. Name it.")


def check_generated(chain: ReasoningChain) -> None:
    """Raises a GoTError for a plan that is not one of a generated picture, or cannot be compared with it."""
    if chain.task != "generate":
        raise GoTError(
            "The plan is of an edit. Give the plan of a generated picture; GoT Check and `check` compare "
            "edits too."
        )
    check_plan(chain)


def changed_outside(before: Image.Image, after: Image.Image, chain: ReasoningChain) -> float:
    """The share of the picture outside an edit's boxes that has visibly changed, from 0 to 1.

    0 if the boxes cover the whole picture.
    """
    changed = changed_pixels(before, after)
    outside = edited_area(chain.regions, changed.shape).numpy() == 0
    return float(changed[outside].mean()) if outside.any() else 0.0
