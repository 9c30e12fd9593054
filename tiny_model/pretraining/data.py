"""An endless, numbered stream of shapes-world examples, and their batches as tensors.

Row ``index`` depends only on the seed and the index, so a resumed run sees the same rows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from got_models.chain.chain import GRID
from got_models.mllm.prompts import TokenIds
from got_models.mllm.reasoner import picture_patches
from got_models.mllm.sequences import IGNORED, chain_sequence

from ..world.edits import sample_edit
from ..world.language import Example, sample_generation
from ..world.scene import Scene, Thing, draw
from .lookups import Lookups, find_lookups
from .readout import ABSENT_SHAPE, SLOTS, region_targets, visual_targets

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def generation_example(seed: int, index: int) -> Example:
    """Row ``index`` of the generation stream."""
    return sample_generation(random.Random(f"generate {seed} {index}"))


def edit_example(seed: int, index: int) -> Example:
    """Row ``index`` of the edit stream."""
    return sample_edit(random.Random(f"edit {seed} {index}"))


def anywhere_edit_example(seed: int, index: int) -> Example:
    """Row ``index`` of a stream of edits whose sources have the layout of generated pictures."""
    return sample_edit(random.Random(f"edit anywhere {seed} {index}"), anywhere=True)


def confusable_edit_example(seed: int, index: int) -> Example:
    """Row ``index`` of a stream of edits in whose source two things share their colour or their shape.

    Here the MLLM needs both words of an object's name to put the box around the right one. Every third
    source has the layout of generated pictures.
    """
    rng = random.Random(f"confusable edit {seed} {index}")
    while True:
        example = sample_edit(rng, anywhere=index % 3 == 0)
        if example.source is not None and confusable(example.source):
            return example


def confusable(scene: Scene) -> bool:
    """Whether two things of a scene share their colour or their shape."""
    things = scene.things
    return len({thing.color for thing in things}) < len(things) or len(
        {thing.shape for thing in things}
    ) < len(things)


@dataclass(frozen=True)
class ChainBatch:
    """Examples of one task as the MLLM's inputs, padded on the right.

    ``labels`` [b, length]: the chain's tokens and the <|im_gen_start|> after them; all else is ignored.
    ``regions`` [b, 4, 7] and ``visual`` [b, visual tokens, 7] or None: targets of the readouts. ``seen`` is
    ``regions`` with only those in the source picture; where a box starts, the MLLM must know them.
    ``lookups``: where the chains of edits have to look something up.
    """

    input_ids: Tensor
    labels: Tensor
    pixel_values: Tensor | None
    image_grid_thw: Tensor | None
    regions: Tensor
    seen: Tensor
    visual: Tensor | None
    lookups: Lookups

    def to(self, device: torch.device | str) -> ChainBatch:
        """The same batch with every tensor on ``device``."""
        moved: dict[str, Any] = {
            field.name: None if getattr(self, field.name) is None else getattr(self, field.name).to(device)
            for field in fields(self)
        }
        return ChainBatch(**moved)


class Collator:
    """Converts examples of one task to a ``ChainBatch``, with the prompt and picture code of inference."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, image_processor: Any, vision_size: int) -> None:
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.vision_size = vision_size
        self.token_ids = TokenIds.of(tokenizer)
        self.tokens_per_side = vision_size // (image_processor.patch_size * image_processor.merge_size)

    def __call__(self, examples: Sequence[Example], with_image_tokens: bool = True) -> ChainBatch:
        """Without image tokens the sequences end after the chain: enough for the chain's loss."""
        ids = self.token_ids
        image_tokens = ids.image_tokens if with_image_tokens else ()
        sequences, labels = [], []
        for example in examples:
            visual_tokens = 0 if example.source is None else self.tokens_per_side**2
            sequence, label = chain_sequence(self.tokenizer, ids, example.chain, visual_tokens, image_tokens)
            sequences.append(sequence)
            labels.append(label)
        sources = [example.source for example in examples if example.source is not None]
        pixel_values, image_grid_thw, visual = self.pictures(sources) if sources else (None, None, None)
        regions = torch.stack([self.regions(example) for example in examples])
        pad = torch.nn.utils.rnn.pad_sequence
        input_ids = pad(sequences, batch_first=True, padding_value=ids.end_of_text)
        chain_labels = pad(labels, batch_first=True, padding_value=IGNORED)
        return ChainBatch(
            input_ids=input_ids,
            labels=chain_labels,
            pixel_values=pixel_values,
            image_grid_thw=image_grid_thw,
            regions=regions,
            seen=self.seen(examples, regions),
            visual=visual,
            lookups=find_lookups(
                [
                    (example, self.words(row), int((row_labels != IGNORED).nonzero()[0]))
                    for example, row, row_labels in zip(examples, input_ids, chain_labels, strict=True)
                ],
                input_ids.shape[1],
                self.covered_tokens,
            ),
        )

    def covered_tokens(self, thing: Thing) -> list[int]:
        """The indices of the visual tokens that a thing covers."""
        shown = visual_targets(Scene("white", (thing,)), self.tokens_per_side)
        covered: list[int] = (shown[:, 1] != ABSENT_SHAPE).nonzero().flatten().tolist()
        return covered

    def words(self, input_ids: Tensor) -> list[str]:
        """The tokens as words, without the marker for a preceding space."""
        return [token.lstrip("\u0120") for token in self.tokenizer.convert_ids_to_tokens(input_ids.tolist())]

    def pictures(self, scenes: Sequence[Scene]) -> tuple[Tensor, Tensor, Tensor]:
        """Scenes as patches and grids for the vision tower, and readout targets [b, visual tokens, 7]."""
        drawn = [picture_patches(self.image_processor, draw(scene), self.vision_size) for scene in scenes]
        patches, grids = zip(*drawn, strict=True)
        targets = [visual_targets(scene, self.tokens_per_side) for scene in scenes]
        return torch.cat(patches), torch.cat(grids), torch.stack(targets)

    def regions(self, example: Example) -> Tensor:
        """The readout's targets [4, 7] for one example."""
        boxes = [
            (box.x1 / GRID, box.y1 / GRID, box.x2 / GRID, box.y2 / GRID)
            for box in (region.box for region in example.chain.regions)
        ]
        return region_targets(example.contents, boxes, example.target.background)

    def seen(self, examples: Sequence[Example], regions: Tensor) -> Tensor:
        """``regions`` [b, 4, 7] with "no such region" for every box that is empty in the source picture."""
        seen = regions.clone()
        for row, example in enumerate(examples):
            pictured = set() if example.source is None else {thing.box for thing in example.source.things}
            for slot in range(SLOTS):
                placed = example.chain.regions[slot : slot + 1]
                if not placed or placed[0].box not in pictured:
                    seen[row, slot, 1] = ABSENT_SHAPE
        return seen
