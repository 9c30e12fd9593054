"""Where an answer depends on a part of the picture, and a loss that directs an attention head there.

To write the size and the box of an object, the MLLM has to find it among the visual tokens by its colour and
its shape. A model trained from scratch is long satisfied with a thing that has one of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from got_models.chain.region import Region
from got_models.mllm.prompts import DESCRIBE

from ..world.language import Example, plural
from ..world.questions import Question
from ..world.scene import COLORS, SHAPES, SIZES, Thing

LAYER = 2
"""The decoder layer: late enough to know what to look for, early enough to write what it finds."""
NAME_HEAD, COPY_HEAD, BOX_HEAD = 0, 1, 3
"""The heads for a thing's name or size, for words of the prompt, and for a thing's box. The last has keys and
values of its own."""
SINGULAR = {plural(shape): shape for shape in SHAPES}
NAMED = ["The", "object", "to", "edit"]
"""The beginning of the sentence that names an object of the picture."""
OBJECT_TO = NAMED[:3]


@dataclass(frozen=True)
class Pointer:
    """Tokens of an answer that a thing in the picture decides, or a word of the prompt.

    ``positions``: where those tokens are predicted, the first one first. ``source``: the thing, or the word's
    position. ``head``: which head learns to attend to it. ``row``: of the batch.
    """

    positions: tuple[int, ...]
    source: Thing | int
    head: int
    row: int = 0


@dataclass(frozen=True)
class Lookups:
    """A batch's n lookups.

    ``rows``, ``positions`` and ``heads`` [n]: where in the batch the next token is predicted, and which head
    is trained. ``answers`` [n, length]: True at the positions to attend to.
    """

    rows: Tensor
    positions: Tensor
    heads: Tensor
    answers: Tensor

    @classmethod
    def of(
        cls, pointers: Sequence[Pointer], length: int, visual_tokens: Callable[[Thing], list[int]]
    ) -> Lookups:
        """The lookups of a batch's pointers.

        Args:
            length: of the padded rows.
            visual_tokens: the positions of the visual tokens that a thing covers.
        """
        found = [(pointer, position) for pointer in pointers for position in pointer.positions]
        answers = torch.zeros(len(found), length, dtype=torch.bool)
        for index, (pointer, _) in enumerate(found):
            source = pointer.source
            answers[index, visual_tokens(source) if isinstance(source, Thing) else source] = True
        return cls(
            torch.tensor([pointer.row for pointer, _ in found], dtype=torch.long),
            torch.tensor([position for _, position in found], dtype=torch.long),
            torch.tensor([pointer.head for pointer, _ in found], dtype=torch.long),
            answers,
        )

    def loss(self, attentions: Sequence[Tensor]) -> Tensor:
        """Mean negative log of the attention on the answers, summed over the heads' means.

        ``attentions``: of every layer, [b, heads, length, length]. 0 without lookups.
        """
        weights = attentions[LAYER][self.rows, self.heads, self.positions].float()  # [n, length]
        missed = -(weights * self.answers).sum(dim=1).clamp(min=1e-6).log()
        of_heads = (self.heads == head for head in (NAME_HEAD, COPY_HEAD, BOX_HEAD))
        return torch.stack([(missed * own).sum() / own.sum().clamp(min=1) for own in of_heads]).sum()

    def to(self, device: torch.device | str) -> Lookups:
        """The same lookups with every tensor on ``device``."""
        return Lookups(*(part.to(device) for part in (self.rows, self.positions, self.heads, self.answers)))


def find_pointers(row: Example | Question, words: list[str], start: int) -> Iterator[Pointer]:
    """What an answer takes from the picture.

    Args:
        words: the row's tokens as words.
        start: where the answer starts.
    """
    if isinstance(row, Question):
        yield from _fields(row, words, start)
    elif row.source is not None:
        yield from _sizes(row.source.things, words, start)
        yield from _boxes(row, words, start)


def find_names(row: Example | Question, words: list[str], start: int) -> Iterator[Pointer]:
    """The names of things: those in the picture where an answer lists them, and those of the prompt.

    Arguments as in ``find_pointers``.
    """
    if isinstance(row, Question):
        listed = row.source.things if row.words == DESCRIBE else row.located
    else:
        listed = row.source.things if row.source else ()
    at = start
    for thing in listed:
        at = next(index for index in _names(words, at) if _pair(words, index) == thing.pair)
        yield Pointer((at - 1, at), thing, NAME_HEAD)
        at += 1
    if isinstance(row, Example):
        asked = {_pair(words, index): index for index in reversed(list(_names(words, 0, start)))}
        for index in _names(words, at):
            place = asked.get(_pair(words, index))
            if place is not None:
                yield Pointer((index - 1,), place, COPY_HEAD)
                yield Pointer((index,), place + 1, COPY_HEAD)


def find_steps(row: Example | Question, words: list[str], start: int) -> Iterator[Pointer]:
    """What each step of an edit takes from its part of the instruction: the verb, a new look, or a corner.

    Without it the MLLM is long satisfied with the verb or the colour of another step, and with any free place
    for something new. Arguments as in ``find_pointers``.
    """
    if isinstance(row, Question) or row.source is None:
        return
    asked = list(_names(words, 0, start))
    begin = start
    for place, end in zip(asked, [*asked[1:], start], strict=True):
        verb = next(at for at in range(place - 1, 0, -1) if words[at] not in ("a", "an", "the", *SIZES))
        object_to = next((at for at in range(begin, len(words)) if words[at - 2 : at + 1] == OBJECT_TO), None)
        if object_to is None:  # a plan that differs from its prompt may have fewer steps
            return
        yield Pointer((object_to,), verb, COPY_HEAD)
        begin = words.index("It", object_to)
        yield Pointer((begin, begin + 1) if words[begin + 1] == "is" else (begin,), verb, COPY_HEAD)
        if words[begin + 1] == "becomes":
            looks = (begin + 1,) if words[begin + 2] in COLORS else (begin + 1, begin + 2)
            look = next((at for at in range(place + 2, end) if words[at] == words[looks[-1] + 1]), None)
            if look is not None:
                yield Pointer(looks, look, COPY_HEAD)
    yield from _corners(row.source.things, row.chain.regions, words, start)


def _corners(
    things: Sequence[Thing], regions: Sequence[Region], words: list[str], start: int
) -> Iterator[Pointer]:
    """The first digits of each box around something new: "top left" decides them."""
    seen = {thing.box for thing in things}
    corners = [
        at for at in range(start - 1) if words[at] in ("top", "bottom") and words[at + 1] in ("left", "right")
    ]
    begin, new = start, []
    for region in regions:
        begin = words.index("<|box_start|>", begin + 1)
        if region.box not in seen:
            new.append(begin)
    for corner, begin in zip(corners, new, strict=False):
        left = next(at for at in range(begin, len(words)) if words[at].isdigit())
        comma = next(at for at in range(left, len(words)) if not words[at].isdigit())
        yield Pointer((left - 1,), corner + 1, COPY_HEAD)
        yield Pointer((comma,), corner, COPY_HEAD)


def _names(words: Sequence[str], start: int, end: int | None = None) -> Iterator[int]:
    """Where the names of things begin: a colour, followed by a shape."""
    for at in range(start, (len(words) if end is None else end) - 1):
        color, shape = _pair(words, at)
        if color in COLORS and shape in SHAPES:
            yield at


def _pair(words: Sequence[str], at: int) -> tuple[str, str]:
    """Two words as a colour and a shape, also after a quotation mark or in the plural."""
    return words[at].lstrip('"'), SINGULAR.get(words[at + 1], words[at + 1])


def _sizes(things: Sequence[Thing], words: list[str], start: int) -> Iterator[Pointer]:
    """The size of each object to edit, where only its name has been given."""
    named = {thing.pair: thing for thing in things}
    for sentence in (at for at in range(start, len(words)) if words[at - 3 : at + 1] == NAMED):
        shape = _next(words, sentence, SHAPES)
        size = _next(words, shape, tuple(SIZES))
        yield Pointer((size - 1,), named[words[shape - 1], words[shape]], NAME_HEAD)


def _boxes(example: Example, words: list[str], start: int) -> Iterator[Pointer]:
    """Every token of a box around a thing in the source."""
    things = {thing.box: thing for thing in example.source.things} if example.source else {}
    begin = start
    for region in example.chain.regions:
        begin = words.index("<|box_start|>", begin + 1)
        thing = things.get(region.box)
        if thing is not None:
            yield Pointer(tuple(range(begin, words.index("<|box_end|>", begin))), thing, BOX_HEAD)


def _fields(question: Question, words: list[str], start: int) -> Iterator[Pointer]:
    """Every digit and comma of a box in an answer, and the bracket behind it."""
    begin = start
    for thing in question.located:
        begin = next(
            at
            for at in range(begin, len(words))
            if words[at].isdigit() and words[at - 1] != "_"  # bbox_2d
        )
        end = next(at for at in range(begin, len(words)) if "]" in words[at])
        yield Pointer(tuple(range(begin - 1, end)), thing, BOX_HEAD)
        begin = end


def _next(words: list[str], start: int, wanted: Sequence[str]) -> int:
    """The position of the first of some words after ``start``."""
    return next(at for at in range(start + 1, len(words)) if words[at] in wanted)
