"""A picture becomes a prompt and a chain, as in the paper: described, its objects named and each grounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from PIL import Image

from ..chain.chain import ReasoningChain, Region
from ..chain.notations import Element, LayoutPlan, plan_to_chain
from ..chain.notations.plan import Corners
from ..mllm.prompts import DESCRIBE
from . import answers
from .annotator import Annotator, AnswerError, ServerFailedError, asked, look_for
from .checks import crop, layout_doubts, left_out, odd, second_look
from .names import Mention, mentions, names_in
from .prompts import ASK_DESCRIPTION, ASK_NAMES, ASK_PROMPT, ASK_WHETHER


@dataclass(frozen=True)
class Annotation:
    """What an annotator made of a picture or a pair.

    Attributes:
        prompts: wordings of the same request, at least one.
        chain: the plan.
        doubts: why a person should look at it; empty: it can be trained on.
    """

    prompts: tuple[str, ...]
    chain: ReasoningChain
    doubts: tuple[str, ...] = ()


def annotate_picture(annotator: Annotator, picture: Image.Image) -> Annotation:
    """A prompt and a plan for a picture.

    Raises:
        AnswerError, AnnotatorError: as `Annotator.answer`.
    """
    text = describe(annotator, picture)
    prompt = write_prompt(annotator, picture, text)
    named, missing = mentions(text, list_names(annotator, text))
    doubts = [f"'{name}' does not stand in the text." for name in missing]
    elements, doubtful = ground(annotator, picture, named)
    chain = plan_to_chain(LayoutPlan(tuple(elements), text), "generate", prompt)
    if not chain.regions:
        doubts.append("No object was found.")
    doubts += [*doubtful, *chain.warnings, *layout_doubts(chain.regions)]
    doubts += look_again(annotator, picture, text, chain.regions)
    return Annotation((chain.prompt,), chain, tuple(doubts))


def describe(annotator: Annotator, picture: Image.Image) -> str:
    """The detailed description."""
    question = ASK_DESCRIPTION if annotator.follows_instructions else DESCRIBE
    return asked(annotator, question, picture, answers.sentence)


def write_prompt(annotator: Annotator, picture: Image.Image, description: str) -> str:
    """What a person would ask for; the description, of an annotator that can write nothing shorter."""
    if not annotator.follows_instructions:
        return description
    return asked(annotator, ASK_PROMPT, picture, answers.words)


def list_names(annotator: Annotator, text: str) -> list[str]:
    """The names of the objects in a text, in its order."""
    if not annotator.follows_instructions:
        return names_in(text)
    return asked(annotator, ASK_NAMES.format(text=text), None, answers.texts)


def ground(
    annotator: Annotator, picture: Image.Image, named: Sequence[Mention]
) -> tuple[list[Element], list[str]]:
    """Each name with its box, in the order of the text, and doubts. A name that is not found has none.

    What has the same name is looked for once: its boxes go to its mentions from the left to the right. One
    name of several things, as "two dogs", gets the box around all.
    """
    elements: list[Element] = []
    doubts: list[str] = []
    for _, same in groupby(sorted(named, key=lambda mention: mention.key), key=lambda mention: mention.key):
        group = sorted(same, key=lambda mention: mention.span)
        phrase = group[0].phrase
        found = look_for(annotator, picture, phrase)
        doubts += odd(phrase, found)
        boxes = sorted(element.box for element in found.elements if element.box)
        if not boxes:
            doubts.append(f"'{phrase}' was not found in the picture.")
            continue
        if len(boxes) > len(group) == 1 and not group[0].is_single:
            boxes = [_around(boxes)]
        elif len(boxes) != len(group) and len(boxes) > 1:
            counted = f"{len(group)} times in the text, and was found {len(boxes)} times"
            doubts.append(f"'{phrase}' stands {counted}.")
        elements += [
            Element(mention.phrase, box, span=mention.span)
            for mention, box in zip(group, boxes, strict=False)
        ]
    return sorted(elements, key=lambda element: element.span or (0, 0)), doubts


def look_again(annotator: Annotator, picture: Image.Image, text: str, regions: Sequence[Region]) -> list[str]:
    """What a second look says against the text and its boxes.

    An annotator is asked where everything is; before, one that follows instructions is asked what each box
    shows, with nothing around it.
    """
    if not regions:
        return []
    if not annotator.follows_instructions:
        everything = look_for(annotator, picture, None)
        return [*odd("everything", everything), *second_look(regions, everything)]
    doubts = [
        f"The part of the picture in the box of '{region.phrase}' does not show it."
        for region in regions
        if not shows(annotator, crop(picture, region.box), region.phrase)
    ]
    try:
        return [*doubts, *left_out(text, regions, look_for(annotator, picture, None))]
    except ServerFailedError:
        raise
    except AnswerError as error:
        return [*doubts, f"What the text leaves out is not known: {error}"]


def shows(annotator: Annotator, picture: Image.Image, name: str) -> bool:
    """Whether a picture shows what has this name."""
    return asked(annotator, ASK_WHETHER.format(name=name), picture, answers.yes_or_no)


def _around(boxes: Sequence[Corners]) -> Corners:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)
