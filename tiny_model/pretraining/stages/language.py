"""The MLLM learns to generate chains, and its image tokens to hold the regions' contents."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from got_models.mllm.kv_cache import modality_ids
from got_models.mllm.prompts import TokenIds
from got_models.mllm.reasoner import select_image_tokens
from got_models.mllm.sequences import IGNORED
from got_models.pipeline import GoTModel
from got_models.training.losses import chain_loss
from got_models.weights.checkpoint import PROJECTORS_FILE

from ...world.scene import COLORS, SHAPES, SIZES
from ..config import TrainingConfig
from ..data import ChainBatch, Collator, Example
from ..readout import ContentReadout, PlaceReadout
from .rows import drawn_example, fresh_rows, off_grid

READOUTS_FILE = "readouts.safetensors"
READ_AT_ONCE = 20
"""Rows per forward pass of the MLLM without gradients."""
NAMING_WEIGHT = 5.0
"""The weight in the loss of the words that name an object and its size in an edit's chain.

Everything else in a chain is either soon memorized or, like the boxes of a generation, random.
"""


class LanguageModules(nn.Module):
    """The MLLM, the SSGM's projectors and the readouts: everything that the language stage trains.

    The vision tower is frozen.
    """

    naming_weights: Tensor

    def __init__(self, model: GoTModel) -> None:
        super().__init__()
        sizes, folder = model.settings.sizes, model.path
        self.mllm = model.parts.reasoner().mllm
        self.mllm.requires_grad_(True).model.visual.requires_grad_(False)
        # On a CPU, and at lengths like these, eager attention is faster than sdpa, especially backwards.
        self.mllm.set_attn_implementation({"text_config": "eager", "vision_config": "sdpa"})
        self.ssgm = model.parts.ssgm().requires_grad_(True)
        self.region_readout = ContentReadout(sizes.cross_attention)
        self.visual_readout = ContentReadout(sizes.hidden)
        self.place_readout = PlaceReadout(sizes.hidden)
        self.start_readout = PlaceReadout(sizes.hidden)
        self.register_buffer("naming_weights", naming_weights(model), persistent=False)
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
            }
        )

    def hidden_states(self, batch: ChainBatch) -> tuple[Tensor, ...]:
        """[b, length, hidden] before each layer; the last are those after the final norm."""
        return self.states_and_attentions(batch)[0]

    def states_and_attentions(self, batch: ChainBatch) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
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

    def chain_loss(self, hidden: Tensor, batch: ChainBatch) -> Tensor:
        """Cross-entropy of the chains; in those of edits, naming words have a larger weight."""
        weights = None if batch.visual is None else self.naming_weights
        return chain_loss(self.mllm, hidden, batch.labels, weights)

    def readout_loss(
        self, hidden: tuple[Tensor, ...], selected: Tensor, batch: ChainBatch, ids: TokenIds
    ) -> Tensor:
        """Of the regions, from the semantic guidance, and of the source picture, from the visual tokens.

        The visual tokens are read halfway through the layers: the second half has to write from them. Where
        the box of a thing in the picture starts, its position is read before the last layer, which has to
        write the digits.
        """
        semantic = self.ssgm.output_projector(selected)
        slots = semantic.unflatten(1, (batch.regions.shape[1], -1))  # [b, 4, 16, Dc]
        targets = batch.regions.unsqueeze(2).expand(-1, -1, slots.shape[2], -1)
        loss = self.region_readout(slots, targets)
        if batch.visual is not None:
            pictured = hidden[len(hidden) // 2][batch.input_ids == ids.image_pad]
            pictured = pictured.view(*batch.visual.shape[:2], -1)
            loss = loss + self.visual_readout(pictured, batch.visual)
            loss = loss + self.place_readout(pictured, batch.visual)
            starts, boxes = box_starts(batch, ids.box_start)
            loss = loss + self.start_readout(hidden[-2][starts], boxes)
        return loss

    def save(self, folder: Path) -> None:
        """Writes mllm/, the projectors and the readouts."""
        self.mllm.save_pretrained(folder / "mllm")
        save_file(self.ssgm.state_dict(), folder / PROJECTORS_FILE)
        save_file(self.readouts.state_dict(), folder / READOUTS_FILE)


def naming_weights(model: GoTModel) -> Tensor:
    """The weight of each token [vocabulary] in the loss of an edit's chain."""
    words = " ".join((*COLORS, *SHAPES, *SIZES))
    weights = torch.ones(model.parts.reasoner().mllm.config.get_text_config().vocab_size)
    weights[model.parts.reasoner().tokenizer(" " + words, add_special_tokens=False)["input_ids"]] = (
        NAMING_WEIGHT
    )
    return weights


def box_starts(batch: ChainBatch, box_start: int) -> tuple[Tensor, Tensor]:
    """Where each chain's first four boxes start [b, length]; the readout's targets for them [boxes, 7]."""
    starts = batch.input_ids == box_start
    starts &= starts.cumsum(dim=1) <= batch.seen.shape[1]
    slots = starts.cumsum(dim=1)[starts] - 1  # which of its chain's boxes each one is
    return starts, batch.seen[starts.nonzero()[:, 0], slots]


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
        self.parameter_groups = [(list(self.module.parameters()), self.settings.learning_rate)]
        self.averaged: list[nn.Parameter] = []

    def losses(self, module: LanguageModules, step: int) -> dict[str, Tensor]:
        """Chain losses of generations and of edits; on every second step the readouts' as well."""
        settings, config, ids = self.settings, self.config, self.collate.token_ids
        counts = (settings.generations_per_batch, settings.edits_per_batch)
        if step % 2:
            fresh = fresh_rows(config.seed, step, *counts)
            chain_of_fresh, lookup_of_fresh = chains_losses(module, self.collate, fresh)
            return {
                "chain": config.chain_weight * chain_of_fresh,
                "lookup": config.lookup_weight * lookup_of_fresh,
            }
        chain, lookup, readout = [], [], []
        for task, count in zip(("generate", "edit"), counts, strict=True):
            rows = range(step * count, (step + 1) * count)
            batch = self.collate([drawn_example(task, config.seed, row) for row in rows])
            # Boxes off the grid are only for reading and drawing; the MLLM itself plans on the grid.
            batch.labels[[off_grid(task, row) for row in rows]] = IGNORED
            batch = batch.to(module.mllm.device)
            hidden, attentions = module.states_and_attentions(batch)
            selected = select_image_tokens(hidden[-1], batch.input_ids, ids.image_tokens)
            chain.append(module.chain_loss(hidden[-1], batch))
            lookup.append(batch.lookups.loss(attentions))
            readout.append(module.readout_loss(hidden, selected, batch, ids))
        return {
            "chain": config.chain_weight * mean(chain),
            "lookup": config.lookup_weight * mean(lookup),
            "readout": config.readout_weight * mean(readout),
        }

    def save(self, folder: Path) -> None:
        self.module.save(folder)


def collator(model: GoTModel) -> Collator:
    """The collator with a checkpoint's tokenizer and image processor."""
    return Collator(
        model.parts.reasoner().tokenizer, model.parts.reasoner().image_processor, model.settings.vision_size
    )


def chains_losses(
    module: LanguageModules, collate: Collator, rows: list[list[Example]]
) -> tuple[Tensor, Tensor]:
    """The chains' mean loss and that of their lookups, without image tokens.

    Rows of similar length are batched together, to reduce padding.
    """
    chain, lookup = [], []
    for examples in rows:
        ordered = sorted(examples, key=lambda example: len(example.chain.text))
        for half in (ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]):
            if half:
                batch = collate(half, with_image_tokens=False).to(module.mllm.device)
                hidden, attentions = module.states_and_attentions(batch)
                chain.append(module.chain_loss(hidden[-1], batch))
                lookup.append(batch.lookups.loss(attentions))
    return mean(chain), mean(lookup)


def mean(losses: list[Tensor]) -> Tensor:
    """The mean of several losses."""
    return torch.stack(losses).mean()
