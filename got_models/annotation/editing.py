"""Two pictures become an instruction and a numbered chain: both described, the edited objects grounded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from ..chain.chain import MASK_COLORS, MAX_REGIONS, Box, ReasoningChain
from ..chain.notation import box_markup, marked
from ..mllm.prompts import DESCRIBE
from . import answers
from .annotator import Annotator, AnswerError, asked, look_for
from .checks import change_doubts, crop, layout_doubts, not_asked_for, odd, told_otherwise
from .comparison import Step, compared, instruction_for
from .generation import Annotation, shows
from .prompts import ASK_BRIEFLY, ASK_CHANGE, ASK_EDITED, ASK_INSTRUCTION, ASK_WORDINGS

_PICTURE = re.compile(r"\A(?:The|This) (?:picture|image|photo|photograph)\b")


@dataclass(frozen=True)
class Pair:
    """An edit's pictures, the source and what became of it, of one size."""

    source: Image.Image
    target: Image.Image

    @classmethod
    def of(cls, source: Image.Image, target: Image.Image) -> Pair:
        return cls(source, target.resize(source.size) if target.size != source.size else target)

    @property
    def side_by_side(self) -> Image.Image:
        """One picture, the source on the left: a model may see only one at a time."""
        return beside(self.source, self.target)


def annotate_pair(
    annotator: Annotator, source: Image.Image, target: Image.Image, instruction: str | None = None
) -> Annotation:
    """Instructions and a plan for an edit.

    Args:
        instruction: how the edit was asked for; None: it is written.

    Raises:
        AnswerError, AnnotatorError: as `Annotator.answer`.
    """
    pair = Pair.of(source, target)
    before, after = describe_briefly(annotator, pair.source), describe_briefly(annotator, pair.target)
    if annotator.follows_instructions:
        instruction = instruction or write_instruction(annotator, pair)
        steps, doubts = find_edits(annotator, pair, instruction)
        prompts = [instruction, *reworded(annotator, instruction)]
    else:
        steps, doubts = compare(annotator, pair, before, after)
        doubts += not_asked_for(instruction, [step.name for step in steps]) if instruction else ()
        prompts = [instruction or instruction_for(steps)]
    chain = ReasoningChain.read(numbered(before, steps, after), "edit", prompts[0])
    doubts += [
        *chain.warnings,
        *layout_doubts(chain.regions),
        *change_doubts(pair.source, pair.target, chain.regions),
    ]
    return Annotation(tuple(dict.fromkeys((chain.prompt, *prompts[1:]))), chain, tuple(doubts))


def describe_briefly(annotator: Annotator, picture: Image.Image) -> str:
    """What a picture shows, in at most two sentences."""
    if annotator.follows_instructions:
        return asked(annotator, ASK_BRIEFLY, picture, answers.sentence)
    text = asked(annotator, DESCRIBE, picture, answers.sentence)
    return f"shows {text[0].lower()}{text[1:]}"


def write_instruction(annotator: Annotator, pair: Pair) -> str:
    """The instruction that asks for the edit of a pair."""
    return asked(annotator, ASK_INSTRUCTION, pair.side_by_side, answers.words)


def reworded(annotator: Annotator, instruction: str) -> list[str]:
    """Three other wordings of an instruction."""
    return asked(annotator, ASK_WORDINGS.format(instruction=instruction), None, answers.texts)[:3]


def compare(annotator: Annotator, pair: Pair, before: str, after: str) -> tuple[list[Step], list[str]]:
    """The edits, by looking for everything in both pictures, and what their descriptions say against that.

    Raises:
        AnswerError: the same was found in both.
    """
    source, target = (look_for(annotator, picture, None) for picture in (pair.source, pair.target))
    steps = compared(source, target)
    if not steps:
        raise AnswerError("The same things were found in both pictures: there is nothing to plan.")
    return steps, [
        *told_otherwise("the source", before, source),
        *told_otherwise("the result", after, target),
    ]


def find_edits(annotator: Annotator, pair: Pair, instruction: str) -> tuple[list[Step], list[str]]:
    """The edited objects with their boxes and what became of each, and doubts."""
    question = ASK_EDITED.format(instruction=instruction)
    edited = asked(annotator, question, pair.side_by_side, answers.edited)
    steps: list[Step] = []
    doubts: list[str] = []
    for name, kind in edited[: MAX_REGIONS // 2]:
        first = pair.target if kind == "add" else pair.source
        box, doubtful = _ground(annotator, first, name)
        doubts += doubtful
        moved: Box | None = None
        if kind == "move":
            moved, doubtful = _ground(annotator, pair.target, name)
            doubts += doubtful
        steps.append(Step(kind, name, box, moved, _change(annotator, pair, instruction, name, moved or box)))
    return steps, doubts


def _ground(annotator: Annotator, picture: Image.Image, name: str) -> tuple[Box | None, list[str]]:
    """The box of an edited object, and what is doubtful about it."""
    found = look_for(annotator, picture, name)
    boxes = [element.grid_box for element in found.elements if element.grid_box]
    doubts = odd(name, found)
    if len(boxes) != 1:
        doubts.append(f"'{name}' was found {len(boxes)} times.")
    if not boxes:
        return None, doubts
    if not shows(annotator, crop(picture, boxes[0]), name):
        doubts.append(f"The part of the picture in the box of '{name}' does not show it.")
    return boxes[0], doubts


def _change(annotator: Annotator, pair: Pair, instruction: str, name: str, box: Box | None) -> str:
    """What became of an object, in a sentence about the detail in its box."""
    detail = pair.side_by_side if box is None else beside(crop(pair.source, box), crop(pair.target, box))
    return asked(annotator, ASK_CHANGE.format(instruction=instruction, name=name), detail, answers.sentence)


def numbered(before: str, steps: Sequence[Step], after: str) -> str:
    """The chain's text: the source, then object, area and change for each step, then the result.

    Args:
        before, after: descriptions; those that begin with "shows" get their subject here. One that speaks of
            the picture after the edit as "the picture" is of the result.
    """
    sentences = [f"The picture {before}" if before.startswith("shows ") else before]
    colors = iter(MASK_COLORS)
    for step in steps:
        sentences.append(f"The object to {'add' if step.kind == 'add' else 'edit'} is {step.name}.")
        if step.box:
            area = f"The area is {marked(step.name)} {box_markup(step.box, next(colors))}"
            if step.moved:
                area += f" and then {marked(step.name)} {box_markup(step.moved, next(colors))}"
            sentences.append(f"{area}.")
        sentences.append(step.change)
    sentences.append(
        f"The result {after}" if after.startswith("shows ") else _PICTURE.sub("The result", after)
    )
    return " ".join(f"{number}. {sentence}" for number, sentence in enumerate(sentences, 1))


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures of one size next to each other."""
    both = Image.new("RGB", (left.width + right.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both
