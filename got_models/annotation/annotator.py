"""What annotates: a model that looks at a picture and answers, and that says how it counts coordinates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from PIL import Image, ImageDraw

from ..chain.english import definite
from ..chain.notations import LayoutPlan, qwen
from ..chain.planner import Size
from ..chain.region import Box
from ..errors import GoTError, short_repr
from ..mllm.prompts import locating
from .prompts import AGAIN

PIXELS, THOUSANDTHS = "pixels", "thousandths"
COORDINATES = (PIXELS, THOUSANDTHS)
"""What a model writes boxes in: pixels of the picture as it was shown, or thousandths of width and height."""
TEST_SIDE = 448  # pixels: whole patches of Qwen2.5-VL and of Qwen3-VL, and less than half of 1000
TEST_PHRASE, TEST_COLOR = "red square", (230, 25, 25)
TEST_SQUARES = ((224, 64, 384, 224), (64, 240, 224, 400))  # which differ also where y comes first
LEAST_OVERLAP = 0.5
T = TypeVar("T")


class AnswerError(GoTError):
    """One answer could not be had or used: the picture is left to a person."""


class ServerFailedError(AnswerError):
    """The server has failed at a question again and again: there may be nothing wrong with the picture."""


class AnnotatorError(GoTError):
    """The annotator cannot be used at all, for no picture."""


class Annotator(Protocol):
    """A model that answers questions about pictures.

    Attributes:
        name: for messages.
        coordinates: one of `COORDINATES`.
        follows_instructions: whether it can be asked anything; otherwise only what a picture shows
            (`DESCRIBE`) and where things are (`locating`), as a GoT checkpoint.
        tokens: how many it has read and written so far; 0 where that costs nothing.
    """

    @property
    def name(self) -> str: ...

    @property
    def coordinates(self) -> str: ...

    @property
    def follows_instructions(self) -> bool: ...

    @property
    def tokens(self) -> int: ...

    def size_shown(self, picture: Image.Image) -> Size:
        """The (width, height) at which the model sees a picture."""
        ...

    def answer(self, question: str, picture: Image.Image | None = None) -> str:
        """
        Raises:
            AnswerError: this question has no answer.
            AnnotatorError: none will have one, as with a server that is down.
        """
        ...


def asked(annotator: Annotator, question: str, picture: Image.Image | None, read: Callable[[str], T]) -> T:
    """The answer as `read` understands it; asked twice where that raises a GoTError.

    Raises:
        AnswerError: neither answer could be read.
    """
    answer = annotator.answer(question, picture)
    try:
        return read(answer)
    except GoTError as error:
        problem = error
    if annotator.follows_instructions:
        answer = annotator.answer(AGAIN.format(question=question, problem=problem), picture)
        try:
            return read(answer)
        except GoTError as error:
            problem = error
    raise AnswerError(
        f"An answer could not be used: {problem} Asked: {short_repr(question, 100)}. Answered: "
        f"{short_repr(answer.strip(), 200)}."
    )


def look_for(annotator: Annotator, picture: Image.Image, phrase: str | None) -> LayoutPlan:
    """Where a thing is in a picture, or, without a phrase, everything; its notes say what was odd.

    Raises:
        AnswerError: the answer is no list of boxes.
    """
    question = locating(None if phrase is None else [definite(phrase)])
    size = annotator.size_shown(picture) if annotator.coordinates == PIXELS else None
    return asked(annotator, question, picture, lambda answer: qwen.read_answer(answer, size))


def check_coordinates(annotator: Annotator) -> None:
    """Asks where a red square is, to see that the annotator counts as it declares.

    In the wrong unit boxes would still look like boxes, and every row would be wrong.

    Raises:
        AnnotatorError: it counts in another unit, or does not find a red square.
    """
    for square in TEST_SQUARES:
        _check_coordinates(annotator, square)


def _check_coordinates(annotator: Annotator, square: tuple[int, int, int, int]) -> None:
    picture = Image.new("RGB", (TEST_SIDE, TEST_SIDE), "white")
    ImageDraw.Draw(picture).rectangle((square[0], square[1], square[2] - 1, square[3] - 1), TEST_COLOR)
    planned = Box.from_pixels(*square, TEST_SIDE, TEST_SIDE)
    question = locating([definite(TEST_PHRASE)])
    answer = annotator.answer(question, picture)
    shown = annotator.size_shown(picture)
    units = {PIXELS: shown, THOUSANDTHS: None}
    found = {unit: _overlap(answer, size, planned) for unit, size in units.items()}
    declared = annotator.coordinates
    if found[declared] >= LEAST_OVERLAP:
        return
    other = next(unit for unit in COORDINATES if unit != declared)
    if found[other] >= LEAST_OVERLAP:
        raise AnnotatorError(
            f"{annotator.name} writes boxes in {other} of the picture, and was said to write {declared}. Say "
            f"that it writes {other} (--coordinates {other}), or choose another model."
        )
    raise AnnotatorError(
        f"{annotator.name} does not find a red square in a test picture of {shown[0]} x {shown[1]} pixels, "
        f"neither in pixels nor in thousandths, and so cannot annotate. It answered: "
        f"{short_repr(answer.strip(), 200)}. Choose a model that locates, such as Qwen3-VL."
    )


def _overlap(answer: str, size: Size | None, planned: Box) -> float:
    """Of the first box of an answer with the planned one; 0 where there is none."""
    try:
        elements = qwen.read_answer(answer, size).elements
    except GoTError:
        return 0.0
    boxes = [element.grid_box for element in elements if element.grid_box]
    return boxes[0].iou(planned) if boxes else 0.0
