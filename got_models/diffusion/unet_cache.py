"""Reusing computations of the UNet while it draws one picture; results are unchanged to the bit.

- From step to step the semantic guidance, the pooled embedding and the sizes are constant, and so are the
  keys and values of cross-attention and the embedding that is added to that of the timestep.
- Within a step, branches that differ only in their semantic guidance are identical up to the first
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
    """The indices of the distinct rows of a UNet batch, and for each row the distinct one that it equals."""

    different: Tensor
    like: Tensor

    @classmethod
    def of(cls, conditions: Tensor, pictures: Sequence[int], device: torch.device | str) -> Rows:
        """Rows are equal if they belong to one picture and have equal conditions [r, 8, h, w]."""
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
        """Only the distinct rows."""
        return states if len(self.different) == len(self.like) else states[self.different]

    def widen(self, states: Tensor) -> Tensor:
        """All rows again."""
        return states if len(self.different) == len(self.like) else states[self.like]


@contextmanager
def reuse_computations(unet: Any, batches: Sequence[Rows]) -> Iterator[None]:
    """Within this context the UNet computes repeated results only once.

    Every step must evaluate these batches in this order, each with the semantic guidance, the pooled
    embedding and the time ids of the first step. A batch's rows of one picture share one pooled embedding.
    """
    turns = len(batches)
    places: list[tuple[Any, str, nn.Module]] = [
        (unet, "add_embedding", _ComputedOnce(unet.add_embedding, turns))
    ]
    for part in unet.modules():
        if getattr(part, "is_cross_attention", False):
            places += [(part, name, _ComputedOnce(getattr(part, name), turns)) for name in ("to_k", "to_v")]
    places.append((unet, "conv_in", _DistinctRows(unet.conv_in, batches)))
    for index, block in enumerate(unet.down_blocks):
        if getattr(block, "has_cross_attention", False):
            break
        places.append((unet.down_blocks, str(index), _DistinctRowsOfBlock(block, batches)))
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    for owner, name, module in places:
        setattr(owner, name, module)
    try:
        yield
    finally:
        for owner, name, module in before:
            setattr(owner, name, module)


class _ComputedOnce(nn.Module):
    """A layer whose `turns` inputs recur in a fixed order: each is computed once."""

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


class _DistinctRows(nn.Module):
    """A layer that receives the batches in turn, and computes only the distinct rows of each."""

    def __init__(self, layer: nn.Module, batches: Sequence[Rows]) -> None:
        super().__init__()
        self.layer = layer
        self.batches = batches
        self.calls = 0

    def next_rows(self) -> Rows:
        """The rows of the current batch."""
        rows = self.batches[self.calls % len(self.batches)]
        self.calls += 1
        return rows

    def forward(self, states: Tensor) -> Tensor:
        rows = self.next_rows()
        return rows.widen(self.layer(rows.narrow(states)))


class _DistinctRowsOfBlock(_DistinctRows):
    """The same for a down block, which also returns its skip connections."""

    def forward(self, hidden_states: Tensor, temb: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:  # type: ignore[override]
        rows = self.next_rows()
        states, skipped = self.layer(rows.narrow(hidden_states), rows.narrow(temb))
        return rows.widen(states), tuple(rows.widen(kept) for kept in skipped)
