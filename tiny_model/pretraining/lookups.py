"""Where an edit's chain depends on the picture, and a loss that directs an attention head there.

To write the size and the box of an object, the MLLM has to find it among the visual tokens by its colour and
its shape. A model trained from scratch is long satisfied with a thing that has one of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..world.language import Example
from ..world.scene import SHAPES, SIZES, Thing

LAYER = 2
"""The decoder layer: late enough to know what to look for, early enough to write what it finds."""
NAME_HEAD, BOX_HEAD = 0, 3
"""Heads with separate keys and values, for an object's size and for its box."""
NAMED = ["The", "object", "to", "edit"]
"""The beginning of the sentence that names an object of the picture."""


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


def find_lookups(
    chains: Sequence[tuple[Example, list[str], int]], length: int, visual_tokens: Callable[[Thing], list[int]]
) -> Lookups:
    """The lookups of a batch.

    Args:
        chains: for each row the example, its tokens as words, and where its chain starts.
        length: of the padded rows.
        visual_tokens: which of a picture's visual tokens a thing covers.
    """
    found = []
    for row, (example, words, start) in enumerate(chains):
        if example.source is not None:
            found += [(row, *lookup) for lookup in _sizes(example, words, start, visual_tokens)]
            found += [(row, *lookup) for lookup in _boxes(example, words, visual_tokens)]
    rows, positions, heads, places = zip(*found, strict=True) if found else ((), (), (), ())
    answers = torch.zeros(len(found), length, dtype=torch.bool)
    for index, columns in enumerate(places):
        answers[index, columns] = True
    whole = torch.long
    return Lookups(
        torch.tensor(rows, dtype=whole),
        torch.tensor(positions, dtype=whole),
        torch.tensor(heads, dtype=whole),
        answers,
    )


def _sizes(
    example: Example, words: list[str], start: int, visual_tokens: Callable[[Thing], list[int]]
) -> list[tuple[int, int, list[int]]]:
    """The size of each object to edit, where only its name has been given."""
    first = words.index("<|image_pad|>")
    things = {thing.pair: thing for thing in example.source.things} if example.source else {}
    found = []
    for sentence in (at for at in range(start, len(words)) if words[at - 3 : at + 1] == NAMED):
        name = _next(words, sentence, SHAPES)
        size = _next(words, name, tuple(SIZES))
        covered = visual_tokens(things[words[name - 1], words[name]])
        found.append((size - 1, NAME_HEAD, [first + index for index in covered]))
    return found


def _boxes(
    example: Example, words: list[str], visual_tokens: Callable[[Thing], list[int]]
) -> list[tuple[int, int, list[int]]]:
    """Every token of a box around a thing in the source: the visual tokens that the thing covers."""
    first = words.index("<|image_pad|>")
    things = {thing.box: thing for thing in example.source.things} if example.source else {}
    found = []
    begin = 0
    for region in example.chain.regions:
        begin = words.index("<|box_start|>", begin + 1)
        thing = things.get(region.box)
        if thing is not None:
            covered = [first + index for index in visual_tokens(thing)]
            end = words.index("<|box_end|>", begin)
            found += [(position, BOX_HEAD, covered) for position in range(begin, end)]
    return found


def _next(words: list[str], start: int, wanted: Sequence[str]) -> int:
    """The position of the first of some words after ``start``."""
    return next(at for at in range(start + 1, len(words)) if words[at] in wanted)
