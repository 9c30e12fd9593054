"""Batches of a dataset's rows for training, and their order.

The rows of a batch depend only on the seed and the batch's number, so a resumed run, or a run on another
number of processes, sees the same batches as an uninterrupted one.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..errors import GoTError
from ..mllm.sequences import IGNORED, chain_sequence
from ..pipeline import GoTModel
from .encoding import Encoded, Encoder
from .rows import Row


@dataclass(frozen=True)
class RowBatch:
    """Rows of one size: the MLLM's inputs, padded on the right, and latents for the UNet.

    ``input_ids``, ``labels`` [b, length]; ``vision`` [visual tokens of all edits, hidden] and ``grid``
    [edits, 3], None without edits; ``target``, ``reference``, ``spatial`` [b, 4, h, w], unscaled.
    ``size``: (height, width) in pixels.
    """

    size: tuple[int, int]
    input_ids: Tensor
    labels: Tensor
    vision: Tensor | None
    grid: Tensor | None
    target: Tensor
    reference: Tensor
    spatial: Tensor

    def to(self, device: torch.device) -> RowBatch:
        """The same batch with every tensor on ``device``."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {
            name: v.to(device) if isinstance(v, Tensor) else v for name, v in values.items()
        }
        return RowBatch(**moved)


class RowBatches:
    """An endless, numbered sequence of batches: every row once per pass, with rows of one size together.

    Raises:
        GoTError: a row is longer than the MLLM's context.
    """

    def __init__(
        self, rows: Sequence[Row], encoder: Encoder, model: GoTModel, batch_rows: int, seed: int
    ) -> None:
        self.rows = rows
        self.encoder = encoder
        self.sizes = [encoder.size(row) for row in rows]
        self.batch_rows = batch_rows
        self.seed = seed
        self.tokenizer = model.parts.reasoner().tokenizer
        self.ids = model.parts.reasoner().token_ids
        processor = model.parts.reasoner().image_processor
        patches = model.settings.vision_size // processor.patch_size
        self.grid = torch.tensor([[1, patches, patches]])
        self.visual_tokens = (patches // processor.merge_size) ** 2
        self._check_lengths(model.parts.reasoner().mllm.config.get_text_config().max_position_embeddings)

    def __getitem__(self, number: int) -> RowBatch:
        passes = batches_of_pass(tuple(self.sizes), self.batch_rows, self.seed, 0)
        order = batches_of_pass(tuple(self.sizes), self.batch_rows, self.seed, number // len(passes))
        return self.collate([self.rows[index] for index in order[number % len(passes)]])

    def collate(self, rows: Sequence[Row]) -> RowBatch:
        """Rows of one size as a batch."""
        encoded: list[Encoded] = [self.encoder.encode(row) for row in rows]
        sequences, labels = zip(*(self._sequence(row) for row in rows), strict=True)
        vision = [one.vision for one in encoded if one.vision is not None]
        pad = torch.nn.utils.rnn.pad_sequence
        return RowBatch(
            size=encoded[0].size,
            input_ids=pad(list(sequences), batch_first=True, padding_value=self.ids.end_of_text),
            labels=pad(list(labels), batch_first=True, padding_value=IGNORED),
            vision=torch.cat(vision) if vision else None,
            grid=self.grid.repeat(len(vision), 1) if vision else None,
            target=torch.cat([one.target for one in encoded]),
            reference=torch.cat([one.reference for one in encoded]),
            spatial=torch.cat([one.spatial for one in encoded]),
        )

    def _sequence(self, row: Row) -> tuple[Tensor, Tensor]:
        visual_tokens = 0 if row.source is None else self.visual_tokens
        return chain_sequence(self.tokenizer, self.ids, row.chain, visual_tokens, self.ids.image_tokens)

    def _check_lengths(self, context: int) -> None:
        for row in self.rows:
            length = len(self._sequence(row)[0])
            if length > context:
                raise GoTError(
                    f"{row.where}: prompt and chain are {length} tokens, the MLLM takes {context}. Shorten "
                    "them."
                )


@lru_cache(maxsize=2)
def batches_of_pass(sizes: tuple[Hashable, ...], batch_rows: int, seed: int, number: int) -> list[list[int]]:
    """One pass through rows of these sizes: indices of the rows of each batch, shuffled within each size.

    The number of batches is the same in every pass; a size's last batch may be smaller.
    """
    rng = random.Random(f"pass {seed} {number}")
    indices = list(range(len(sizes)))
    rng.shuffle(indices)
    batches = []
    for size in dict.fromkeys(sizes):
        alike = [index for index in indices if sizes[index] == size]
        batches += [alike[start : start + batch_rows] for start in range(0, len(alike), batch_rows)]
    rng.shuffle(batches)
    return batches
