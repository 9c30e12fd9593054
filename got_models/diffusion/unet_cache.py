"""What the UNet need not compute twice while it draws one picture; the results stay the same to the bit.

- From step to step the semantic guidance, the pooled embedding and the sizes stay the same, and so do the
  keys and values of cross-attention and the embedding that is added to that of the timestep.
- Within a step, branches that differ in their semantic guidance alone are alike until the first
  cross-attention: in the paper's guidance formula (Gt, 0, Gr) and (0, 0, Gr).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Rows:
    """Of a UNet batch: the indices of the rows that differ, and for each row which of those it is like."""

    different: Tensor
    like: Tensor

    @classmethod
    def of(cls, conditions: Tensor, pictures: Sequence[int], device: torch.device | str) -> Rows:
        """Rows are alike where they belong to one picture and have equal conditions [r, 8, h, w]."""
        different: list[int] = []
        like: list[int] = []
        for row, picture in enumerate(pictures):
            for index, other in enumerate(different):
                if pictures[other] == picture and torch.equal(conditions[other], conditions[row]):
                    like.append(index)
                    break
            else:
                like.append(len(different))
                different.append(row)
        return cls(torch.tensor(different, device=device), torch.tensor(like, device=device))

    def narrow(self, states: Tensor) -> Tensor:
        """One row for those that are alike."""
        return states if len(self.different) == len(self.like) else states[self.different]

    def widen(self, states: Tensor) -> Tensor:
        """All rows again."""
        return states if len(self.different) == len(self.like) else states[self.like]


@contextmanager
def computed_once(unet: Any, batches: Sequence[Rows]) -> Iterator[None]:
    """In here the UNet computes once what would come out the same again.

    Every step must evaluate these batches in this order, each with the semantic guidance, the pooled
    embedding and the time ids that it had in the first step. A batch's rows of one picture have one pooled
    embedding.
    """
    turns = len(batches)
    places: list[tuple[Any, str, nn.Module]] = [(unet, "add_embedding", _Once(unet.add_embedding, turns))]
    for part in unet.modules():
        if getattr(part, "is_cross_attention", False):
            places += [(part, name, _Once(getattr(part, name), turns)) for name in ("to_k", "to_v")]
    places.append((unet, "conv_in", _Alike(unet.conv_in, batches)))
    for index, block in enumerate(unet.down_blocks):
        if getattr(block, "has_cross_attention", False):
            break
        places.append((unet.down_blocks, str(index), _AlikeBlock(block, batches)))
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    for owner, name, module in places:
        setattr(owner, name, module)
    try:
        yield
    finally:
        for owner, name, module in before:
            setattr(owner, name, module)


class _Once(nn.Module):
    """A layer whose `turns` inputs come again and again in one order: each is computed once."""

    def __init__(self, layer: nn.Module, turns: int) -> None:
        super().__init__()
        self.layer = layer
        self.turns = turns
        self.calls = 0
        self.outputs: list[Tensor] = []

    def forward(self, states: Tensor) -> Tensor:
        turn = self.calls % self.turns
        self.calls += 1
        if turn == len(self.outputs):
            self.outputs.append(self.layer(states))
        return self.outputs[turn]


class _Alike(nn.Module):
    """A layer that sees the batches in turn, and of each only the rows that differ."""

    def __init__(self, layer: nn.Module, batches: Sequence[Rows]) -> None:
        super().__init__()
        self.layer = layer
        self.batches = batches
        self.calls = 0

    def next_rows(self) -> Rows:
        """Of the batch whose turn it is."""
        rows = self.batches[self.calls % len(self.batches)]
        self.calls += 1
        return rows

    def forward(self, states: Tensor) -> Tensor:
        rows = self.next_rows()
        return rows.widen(self.layer(rows.narrow(states)))


class _AlikeBlock(_Alike):
    """The same for a block of the way down, which also returns what the way up will need."""

    def forward(self, hidden_states: Tensor, temb: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:  # type: ignore[override]
        rows = self.next_rows()
        states, skipped = self.layer(rows.narrow(hidden_states), rows.narrow(temb))
        return rows.widen(states), tuple(rows.widen(kept) for kept in skipped)
