"""Rows of the shapes world as the MLLM's inputs, with what the readouts and the lookups are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from got_models.chain.chain import GRID
from got_models.mllm.prompts import TokenIds
from got_models.mllm.reasoner import picture_patches
from got_models.mllm.sequences import IGNORED, answer_sequence, chain_sequence

from ..world.language import Example
from ..world.questions import Question
from ..world.scene import Scene, Thing
from .lookups import BOX_HEAD, Lookups, Pointer, find_names, find_pointers, find_steps
from .readout import NOWHERE, place_target, region_targets, visual_targets

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Batch:
    """Rows as the MLLM's inputs, padded on the right.

    ``labels`` [b, length]: the answer's tokens and the one that ends it; all else is ignored.
    ``regions`` [b, 8, 7] and ``visual`` [b, visual tokens, 7] or None: targets of the readouts.
    ``starts`` [boxes, 2] and ``places`` [boxes, 7]: row and position before each box of a thing in the
    picture, where the MLLM must know the place that it is about to write.
    ``lookups``: where an answer depends on a part of the picture; ``names``: where it lists what is in it;
    ``steps``: where it depends on a step of the instruction.
    """

    input_ids: Tensor
    labels: Tensor
    pixel_values: Tensor | None
    image_grid_thw: Tensor | None
    regions: Tensor
    visual: Tensor | None
    starts: Tensor
    places: Tensor
    lookups: Lookups
    names: Lookups
    steps: Lookups

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with every tensor on ``device``."""
        moved: dict[str, Any] = {
            field.name: None if getattr(self, field.name) is None else getattr(self, field.name).to(device)
            for field in fields(self)
        }
        return Batch(**moved)


class Collator:
    """Converts rows of one task to a ``Batch``, with the prompt and picture code of inference."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, image_processor: Any, vision_size: int) -> None:
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.vision_size = vision_size
        self.token_ids = TokenIds.of(tokenizer)
        self.tokens_per_side = vision_size // (image_processor.patch_size * image_processor.merge_size)

    def __call__(self, rows: Sequence[Example | Question], with_image_tokens: bool = False) -> Batch:
        """With image tokens, which only a chain has, the sequences end behind them, else with the answer."""
        ids = self.token_ids
        image_tokens = ids.image_tokens if with_image_tokens else ()
        visual_tokens = 0 if rows[0].source is None else self.tokens_per_side**2
        sequences, labels = [], []
        for row in rows:
            if isinstance(row, Question):
                sequence, label = answer_sequence(self.tokenizer, row.words, row.answer, visual_tokens)
            else:
                sequence, label = chain_sequence(self.tokenizer, ids, row.chain, visual_tokens, image_tokens)
            sequences.append(sequence)
            labels.append(label)
        shown = [(row.look.draw(row.source), row.source) for row in rows if row.source is not None]
        pixel_values, image_grid_thw, visual = self.pictures(shown) if shown else (None, None, None)
        pad = torch.nn.utils.rnn.pad_sequence
        input_ids = pad(sequences, batch_first=True, padding_value=ids.end_of_text)
        pointers, names, steps = (
            [
                replace(pointer, row=number)
                for number, (row, sequence, label) in enumerate(zip(rows, sequences, labels, strict=True))
                for pointer in find(row, self.words(sequence), int((label != IGNORED).nonzero()[0]))
            ]
            for find in (find_pointers, find_names, find_steps)
        )
        boxed = [
            (pointer, pointer.source)
            for pointer in pointers
            if pointer.head == BOX_HEAD and isinstance(pointer.source, Thing)
        ]
        first = int((input_ids[0] == ids.image_pad).nonzero()[0]) if shown else 0

        def lookups(found: list[Pointer]) -> Lookups:
            return Lookups.of(found, input_ids.shape[1], lambda thing: self.covered(thing, first))

        return Batch(
            input_ids=input_ids,
            labels=pad(labels, batch_first=True, padding_value=IGNORED),
            pixel_values=pixel_values,
            image_grid_thw=image_grid_thw,
            regions=torch.stack([self.regions(row) for row in rows]),
            visual=visual,
            starts=torch.tensor(
                [(pointer.row, pointer.positions[0]) for pointer, _ in boxed], dtype=torch.long
            ).view(-1, 2),
            places=torch.stack([NOWHERE, *(place_target(thing) for _, thing in boxed)])[1:],
            lookups=lookups(pointers),
            names=lookups(names),
            steps=lookups(steps),
        )

    def covered(self, thing: Thing, first: int) -> list[int]:
        """The positions of the visual tokens that a thing covers, where the picture starts at ``first``."""
        shown = visual_targets(Scene("white", (thing,)), self.tokens_per_side)
        return [first + int(index) for index in (shown[:, 1] != NOWHERE[1]).nonzero().flatten()]

    def words(self, input_ids: Tensor) -> list[str]:
        """The tokens as words, without the marker for a preceding space."""
        return [token.lstrip("\u0120") for token in self.tokenizer.convert_ids_to_tokens(input_ids.tolist())]

    def pictures(self, shown: Sequence[tuple[Image.Image, Scene]]) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures as patches and grids for the vision tower, and readout targets [b, visual tokens, 7]."""
        seen = [picture_patches(self.image_processor, picture, self.vision_size) for picture, _ in shown]
        patches, grids = zip(*seen, strict=True)
        targets = [visual_targets(scene, self.tokens_per_side) for _, scene in shown]
        return torch.cat(patches), torch.cat(grids), torch.stack(targets)

    def regions(self, row: Example | Question) -> Tensor:
        """The readout's targets [8, 7] for one row; a question has no regions."""
        if isinstance(row, Question):
            return region_targets((), [], row.source.background)
        boxes = [
            (box.x1 / GRID, box.y1 / GRID, box.x2 / GRID, box.y2 / GRID)
            for box in (region.box for region in row.chain.regions)
        ]
        return region_targets(row.contents, boxes, row.target.background)
