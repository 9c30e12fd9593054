"""Where an answer depends on a part of the picture, and a loss that directs an attention head there.

To write the size and the box of an object, the MLLM has to find it among the visual tokens by its colour and
its shape. A model trained from scratch is long satisfied with a thing that has one of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..world.language import Example
from ..world.questions import Question
from ..world.scene import SHAPES, SIZES, Thing

LAYER = 2
"""The decoder layer: late enough to know what to look for, early enough to write what it finds."""
NAME_HEAD, BOX_HEAD = 0, 3
"""Heads with separate keys and values, for an object's size and for its box."""
NAMED = ["The", "object", "to", "edit"]
"""The beginning of the sentence that names an object of the picture."""


@dataclass(frozen=True)
class Pointer:
    """Tokens of an answer that a thing in the picture decides.

    ``positions``: where those tokens are predicted, the first one first. ``is_box``: they are its box, else
    its size. ``row``: of the batch.
    """

    positions: tuple[int, ...]
    thing: Thing
    is_box: bool
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
            answers[index, visual_tokens(pointer.thing)] = True
        return cls(
            torch.tensor([pointer.row for pointer, _ in found], dtype=torch.long),
            torch.tensor([position for _, position in found], dtype=torch.long),
            torch.tensor([BOX_HEAD if p.is_box else NAME_HEAD for p, _ in found], dtype=torch.long),
            answers,
        )

    def loss(self, attentions: Sequence[Tensor]) -> Tensor:
        """Mean negative log of the attention on the answers, summed over the heads' means.

        ``attentions``: of every layer, [b, heads, length, length]. 0 without lookups.
        """
        weights = attentions[LAYER][self.rows, self.heads, self.positions].float()  # [n, length]
        missed = -(weights * self.answers).sum(dim=1).clamp(min=1e-6).log()
        of_heads = (self.heads == head for head in (NAME_HEAD, BOX_HEAD))
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


def _sizes(things: Sequence[Thing], words: list[str], start: int) -> Iterator[Pointer]:
    """The size of each object to edit, where only its name has been given."""
    named = {thing.pair: thing for thing in things}
    for sentence in (at for at in range(start, len(words)) if words[at - 3 : at + 1] == NAMED):
        shape = _next(words, sentence, SHAPES)
        size = _next(words, shape, tuple(SIZES))
        yield Pointer((size - 1,), named[words[shape - 1], words[shape]], is_box=False)


def _boxes(example: Example, words: list[str], start: int) -> Iterator[Pointer]:
    """Every token of a box around a thing in the source."""
    things = {thing.box: thing for thing in example.source.things} if example.source else {}
    begin = start
    for region in example.chain.regions:
        begin = words.index("<|box_start|>", begin + 1)
        thing = things.get(region.box)
        if thing is not None:
            yield Pointer(tuple(range(begin, words.index("<|box_end|>", begin))), thing, is_box=True)


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
        yield Pointer(tuple(range(begin - 1, end)), thing, is_box=True)
        begin = end


def _next(words: list[str], start: int, wanted: Sequence[str]) -> int:
    """The position of the first of some words after ``start``."""
    return next(at for at in range(start + 1, len(words)) if words[at] in wanted)
