"""The MLLM learns to generate chains, and its image tokens to hold the regions' contents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from got_models.mllm.kv_cache import modality_ids
from got_models.mllm.prompts import TokenIds
from got_models.mllm.reasoner import select_image_tokens
from got_models.pipeline import GoTModel
from got_models.training.losses import chain_loss
from got_models.weights.checkpoint import PROJECTORS_FILE

from ...world.language import Example
from ...world.questions import Question
from ...world.scene import COLORS, SHAPES, SIZES
from ..batches import Batch, Collator
from ..config import AnswerCounts, AnswerWeights, TrainingConfig
from ..lookups import BOX_HEAD
from ..optimizers import Learning
from ..readout import ContentReadout, PlaceReadout, PositionReadout
from ..rows import drawn, edit, generation, question, reversed_relation

READOUTS_FILE = "readouts.safetensors"
READ_AT_ONCE = 20
"""Rows per forward pass of the MLLM without gradients."""
KNOWS_POSITION = (1, 2)
"""The layers before which a visual token has to know its own row and column."""
RELATIONS = ("left", "right", "above", "below")
"""The words of a plan that relate its objects."""


class LanguageModules(nn.Module):
    """The MLLM, the SSGM's projectors and the readouts: everything that the language stage trains.

    The vision tower is frozen.
    """

    is_name: Tensor
    is_relation: Tensor

    def __init__(self, model: GoTModel) -> None:
        super().__init__()
        sizes, folder = model.settings.sizes, model.path
        self.mllm = model.parts.reasoner().mllm
        self.mllm.requires_grad_(True).model.visual.requires_grad_(False)
        # On a CPU, and at lengths like these, eager attention is faster than sdpa, especially backwards.
        self.mllm.set_attn_implementation({"text_config": "eager", "vision_config": "sdpa"})
        self.ssgm = model.parts.ssgm().requires_grad_(True)
        torch.manual_seed(0)  # loading the MLLM leaves the generator anywhere
        self.region_readout = ContentReadout(sizes.cross_attention)
        self.visual_readout = ContentReadout(sizes.hidden)
        self.place_readout = PlaceReadout(sizes.hidden)
        self.start_readout = PlaceReadout(sizes.hidden)
        side = collator(model).tokens_per_side
        self.position_readouts = nn.ModuleList(PositionReadout(sizes.hidden, side) for _ in KNOWS_POSITION)
        self.register_buffer("is_name", among(model, (*COLORS, *SHAPES, *SIZES)), persistent=False)
        self.register_buffer("is_relation", among(model, RELATIONS), persistent=False)
        if (folder / READOUTS_FILE).exists():
            self.readouts.load_state_dict(load_file(folder / READOUTS_FILE))

    @property
    def readouts(self) -> nn.ModuleDict:
        return nn.ModuleDict(
            {
                "region": self.region_readout,
                "visual": self.visual_readout,
                "place": self.place_readout,
                "start": self.start_readout,
                "position": self.position_readouts,
            }
        )

    def hidden_states(self, batch: Batch) -> tuple[Tensor, ...]:
        """[b, length, hidden] before each layer; the last are those after the final norm."""
        return self.states_and_attentions(batch)[0]

    def states_and_attentions(self, batch: Batch) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """`hidden_states`, and the attention weights [b, heads, length, length] of each layer.

        Without a mask: padding is on the right, where causal attention never looks.
        """
        outputs = self.mllm.model(
            input_ids=batch.input_ids,
            pixel_values=batch.pixel_values,
            image_grid_thw=batch.image_grid_thw,
            use_cache=False,
            output_hidden_states=True,
            output_attentions=True,
            **modality_ids(self.mllm, batch.input_ids),
        )
        return outputs.hidden_states, outputs.attentions

    def chain_loss(self, hidden: Tensor, batch: Batch, weights: AnswerWeights) -> Tensor:
        """Cross-entropy of the answers."""
        return chain_loss(self.mllm, hidden, batch.labels, self.token_weights(batch, weights))

    def token_weights(self, batch: Batch, weights: AnswerWeights) -> Tensor:
        """The weight [b, length] of each token in the loss."""
        of_tokens = torch.ones_like(batch.labels, dtype=torch.float32)
        named = self.is_name[batch.input_ids]
        if batch.visual is None:
            of_tokens[named | self.is_relation[batch.input_ids]] = weights.plans
            return of_tokens
        of_tokens[named] = weights.names
        of_tokens[batch.steps.rows, batch.steps.positions + 1] += weights.steps
        boxed = batch.lookups.heads == BOX_HEAD
        of_tokens[batch.lookups.rows[boxed], batch.lookups.positions[boxed] + 1] = weights.digits
        return of_tokens

    def region_loss(self, selected: Tensor, batch: Batch) -> Tensor:
        """The readout of the regions from the semantic guidance."""
        semantic = self.ssgm.output_projector(selected)
        slots = semantic.unflatten(1, (batch.regions.shape[1], -1))  # [b, 8, 8, Dc]
        return self.region_readout(slots, batch.regions.unsqueeze(2).expand(-1, -1, slots.shape[2], -1))

    def sight_loss(self, hidden: tuple[Tensor, ...], batch: Batch, ids: TokenIds) -> Tensor:
        """The readouts of the source picture.

        The visual tokens are read halfway through the layers: the second half has to write from them. Where
        the box of a thing in the picture starts, its place is read before the last layer, which has to write
        the digits.
        """
        if batch.visual is None:
            raise ValueError("expected a batch with pictures, received one without")
        pictured = [
            state[batch.input_ids == ids.image_pad].unflatten(0, batch.visual.shape[:2]) for state in hidden
        ]
        loss = self.visual_readout(pictured[len(hidden) // 2], batch.visual)
        loss = loss + self.place_readout(pictured[len(hidden) // 2], batch.visual)
        for layer, readout in zip(KNOWS_POSITION, self.position_readouts, strict=True):
            loss = loss + readout(pictured[layer])
        rows, positions = batch.starts.unbind(dim=1)
        return loss + self.start_readout(hidden[-2][rows, positions], batch.places)

    def save(self, folder: Path) -> None:
        """Writes mllm/, the projectors and the readouts."""
        self.mllm.save_pretrained(folder / "mllm")
        save_file(self.ssgm.state_dict(), folder / PROJECTORS_FILE)
        save_file(self.readouts.state_dict(), folder / READOUTS_FILE)


def among(model: GoTModel, words: Sequence[str]) -> Tensor:
    """Which tokens [vocabulary] some words are written with, after a space."""
    reasoner = model.parts.reasoner()
    found = torch.zeros(reasoner.mllm.config.get_text_config().vocab_size, dtype=torch.bool)
    found[reasoner.tokenizer(" " + " ".join(words), add_special_tokens=False)["input_ids"]] = True
    return found


class LanguageStage:
    """The MLLM learns to generate chains, to see, and to collect regions' contents in its image tokens."""

    name = "language"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        self.config = config
        self.settings = config.language
        model = GoTModel.from_pretrained(folder)
        self.module = LanguageModules(model)
        self.collate = collator(model)
        self.steps, self.warmup_steps = self.settings.steps, self.settings.warmup_steps
        rates = self.settings.learning_rate, self.settings.matrix_learning_rate
        self.learning = [Learning.of([self.module], rates[0], [self.module.mllm.model], rates[1])]
        self.averaged: list[nn.Parameter] = []

    def losses(self, module: LanguageModules, step: int) -> dict[str, Tensor]:
        """The losses of answers; on every second step that of the regions' readout as well."""
        settings, config = self.settings, self.config
        rows = fresh_rows(config.seed, step, settings.answers, self.collate.vision_size)
        losses = answers_losses(module, self.collate, rows, config)
        if step % 2 == 0:
            losses["regions"] = config.readout_weight * self.regions(module, step // 2)
        return losses

    def regions(self, module: LanguageModules, step: int) -> Tensor:
        """The loss of the regions' readout on rows to draw."""
        counts = {"generate": self.settings.drawn_generations, "edit": self.settings.drawn_edits}
        losses = []
        for task, count in counts.items():
            rows = [drawn(task, self.config.seed, row) for row in range(step * count, (step + 1) * count)]
            batch = self.collate(rows, with_image_tokens=True).to(module.mllm.device)
            hidden = module.hidden_states(batch)[-1]
            selected = select_image_tokens(hidden, batch.input_ids, self.collate.token_ids.image_tokens)
            losses.append(module.region_loss(selected, batch))
        return mean(losses)

    def save(self, folder: Path) -> None:
        self.module.save(folder)


def collator(model: GoTModel) -> Collator:
    """The collator with a checkpoint's tokenizer and image processor."""
    return Collator(
        model.parts.reasoner().tokenizer, model.parts.reasoner().image_processor, model.settings.vision_size
    )


def fresh_rows(seed: int, step: int, counts: AnswerCounts, vision_size: int) -> list[list[Any]]:
    """The rows of one step that no other step sees: generations, edits and questions."""

    def numbers(count: int) -> range:
        return range(step * count, (step + 1) * count)

    return [
        [
            *(generation(seed, row) for row in numbers(counts.generations)),
            *(reversed_relation(seed, row) for row in numbers(counts.reversed_relations)),
        ],
        [edit(seed, row) for row in numbers(counts.edits)],
        [question(seed, row, vision_size) for row in numbers(counts.questions)],
    ]


def answers_losses(
    module: LanguageModules,
    collate: Collator,
    rows: list[list[Any]],
    config: TrainingConfig,
) -> dict[str, Tensor]:
    """The mean losses of answers, of their lookups, and of the readouts of the pictures that they are about.

    Rows of similar length are batched together, to reduce padding.
    """
    chain, naming, steps, lookup, sight = [], [], [], [], []
    for of_one_kind in rows:
        ordered = sorted(of_one_kind, key=length)
        for half in (ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]):
            if half:
                batch = collate(half).to(module.mllm.device)
                hidden, attentions = module.states_and_attentions(batch)
                chain.append(module.chain_loss(hidden[-1], batch, config.weights))
                naming.append(batch.names.loss(attentions))
                steps.append(batch.steps.loss(attentions))
                if batch.visual is not None:
                    lookup.append(batch.lookups.loss(attentions))
                    sight.append(module.sight_loss(hidden, batch, collate.token_ids))
    return {
        "chain": config.chain_weight * mean(chain),
        "lookup": config.lookup_weight * mean(lookup),
        "naming": config.lookup_weight * mean(naming),
        "steps": config.lookup_weight * config.weights.steps * mean(steps),
        "sight": config.readout_weight * mean(sight),
    }


def length(row: Example | Question) -> int:
    """The characters of a row's answer."""
    return len(row.answer if isinstance(row, Question) else row.chain.text)


def mean(losses: list[Tensor]) -> Tensor:
    """The mean of several losses."""
    return torch.stack(losses).mean()
