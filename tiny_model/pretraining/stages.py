"""The stages that make the bundled model from nothing: sight, chains, VAE, UNet, then all of it together.

A stage owns its modules and says what one step's losses are; ``trainer.py`` runs it. All randomness of a step
comes from the seed, the stage's name and the step's number, so that a resumed run continues bit for bit.
"""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from torch import Tensor, autocast, nn
from tqdm import tqdm

from got_models.chain import Box
from got_models.checkpoint import PROJECTORS_FILE
from got_models.model import GoTModel
from got_models.prompts import TokenIds
from got_models.reading import modality_ids
from got_models.reasoner import select_image_tokens
from got_models.sequences import IGNORED
from got_models.ssgm import MASK_RULES, draw_region_masks, pictures_to_tensor
from got_models.training.losses import DiffusionTargets, chain_loss, diffusion_loss
from got_models.training.schedule import step_seed
from got_models.vae import encode_unscaled
from got_models.whole_files import whole_file

from ..world.edits import sample_source
from ..world.language import GRID_STEP, QUADRANTS, nudged, sample_generation
from ..world.scene import BACKGROUNDS, COLORS, PICTURE_SIZE, SHAPES, SIZES, Scene, Thing, draw, draw_shape
from .config import JointSettings, TrainingConfig, UnetSettings, VaeSettings
from .data import (
    ChainBatch,
    Collator,
    Example,
    anywhere_edit_example,
    confusable_edit_example,
    edit_example,
    generation_example,
)
from .readout import ContentReadout, PlaceReadout

READOUTS_FILE = "readouts.safetensors"
LATENTS_FILE = "latents.{mask_rule}.safetensors"
READ_AT_ONCE = 20
"""Rows in one pass through the MLLM where nothing is learnt from it."""
NAMING_WEIGHT = 5.0
"""How many times the words that name an object and its size count in the loss of an edit's chain.

Everything else in a chain is either soon known by heart or, like the boxes of a generation, left to chance.
"""
LATER = 1_000_000
"""Added to the joint stage's rows, so that its generations are none of the language stage's."""


class VaeStage:
    """Pictures in, the same pictures out. Learns scenes, and coloured boxes on black for spatial guidance."""

    name = "vae"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        self.config = config
        self.settings: VaeSettings = getattr(config, self.name)
        self.module = GoTModel.from_pretrained(folder).vae.requires_grad_(True)
        self.steps, self.warmup_steps = self.settings.steps, self.settings.warmup_steps
        self.parameter_groups = [(list(self.module.parameters()), self.settings.learning_rate)]
        self.averaged = list(self.module.parameters())
        self.ema_decay = self.settings.ema_decay

    def losses(self, module: nn.Module, step: int) -> dict[str, Tensor]:
        """L1 plus squared error of the decoded picture, and a small pull of the latents towards zero."""
        settings = self.settings
        rng = random.Random(f"{self.name} {self.config.seed} {step}")
        generator = torch.Generator().manual_seed(step_seed(self.config.seed, self.name, step))
        pictures = [whole_picture(rng) if step % 4 == 0 else self.collage(rng)]
        pixels = pictures_to_tensor(pictures, next(module.parameters()).device)
        decoded, latents = autoencode(module, pixels, settings.latent_noise, generator)
        error = decoded - pixels
        return {
            "picture": error.abs().mean() + error.square().mean(),
            "latents": 1e-3 * latents.square().mean(),
        }

    def collage(self, rng: random.Random) -> Image.Image:
        """What a step shows unless it shows a whole picture."""
        return collage(rng)

    def save(self, folder: Path) -> None:
        """Writes the VAE with latents that have mean 0 and standard deviation 1 in every channel."""
        rng = random.Random(f"vae scaling {self.config.seed}")
        self.module.eval()
        pictures = [draw(sample_generation(rng).target) for _ in range(64)]
        normalize_latents(self.module, torch.cat([encode_pictures(self.module, [one]) for one in pictures]))
        self.module.register_to_config(scaling_factor=1.0)
        self.module.save_pretrained(folder / "vae")


class DetailStage(VaeStage):
    """The VAE goes on with whole shapes, above all stars, whose tips it learns last."""

    name = "detail"

    def collage(self, rng: random.Random) -> Image.Image:
        """Four shapes, each on its own background, at any pixel."""
        return four_shapes(rng)


@torch.no_grad()
def normalize_latents(vae: Any, latents: Tensor) -> None:
    """Shifts and scales each latent channel by those of ``latents`` [n, 4, h, w]; pictures stay the same.

    The last layer of the encoder and the first of the decoder are 1 x 1 convolutions that take it up exactly.
    """
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))  # [4]
    channels = len(mean)
    after, before = vae.quant_conv, vae.post_quant_conv
    after.weight[:channels] /= deviation.view(-1, 1, 1, 1)
    after.bias[:channels] = (after.bias[:channels] - mean) / deviation
    before.bias += (before.weight[:, :, 0, 0] @ mean.unsqueeze(1)).squeeze(1)
    before.weight *= deviation.view(1, -1, 1, 1)


def autoencode(
    vae: Any, pixels: Tensor, latent_noise: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The decoded picture and its latents; noise on the latents makes the decoder forgiving."""
    latents = vae.encode(pixels).latent_dist.mode()
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    return vae.decode(latents + latent_noise * noise).sample, latents


def collage(rng: random.Random) -> Image.Image:
    """A picture of many tiles with a background each: one step sees many colours and edges, evenly mixed."""
    picture = Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE))
    side = rng.choice((32, 64))
    for left in range(0, PICTURE_SIZE, side):
        for top in range(0, PICTURE_SIZE, side):
            picture.paste(tile(rng, side), (left, top))
    return picture


def tile(rng: random.Random, side: int) -> Image.Image:
    """A small cut from a scene; shapes may stick out of it."""
    picture = Image.new("RGB", (2 * side, 2 * side), rng.choice(list(BACKGROUNDS.values())))
    canvas = ImageDraw.Draw(picture)
    for _ in range(rng.randint(0, 2)):
        size = rng.choice(list(SIZES.values()))
        left, top = (rng.randrange(-size // 16 * 8, side - 8, GRID_STEP) for _ in range(2))
        box = (2 * left, 2 * top, 2 * (left + size), 2 * (top + size))
        draw_shape(canvas, rng.choice(SHAPES), box, rng.choice(list(COLORS.values())))
    return picture.resize((side, side), Image.Resampling.BOX)


def four_shapes(rng: random.Random) -> Image.Image:
    """A picture whose four quarters each hold one whole shape on a background of its own."""
    picture = Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE))
    for left, top, right, _ in QUADRANTS:
        side = right - left
        size, shape = rng.choice(list(SIZES)), rng.choice((*SHAPES, "star", "star"))
        thing_left, thing_top = (rng.randint(0, side - SIZES[size]) for _ in range(2))
        thing = Thing(shape, rng.choice(list(COLORS)), size, thing_left, thing_top)
        scene = draw(Scene(rng.choice(list(BACKGROUNDS)), (thing,)))
        picture.paste(scene.crop((0, 0, side, side)), (left, top))
    return picture


def whole_picture(rng: random.Random) -> Image.Image:
    """A scene, or (one in four) one of the masks of its chain."""
    example = sample_generation(rng)
    if rng.random() < 0.25:
        return rng.choice(
            draw_region_masks(example.chain.regions, (PICTURE_SIZE, PICTURE_SIZE), MASK_RULES[0])
        )
    return draw(example.target)


class LinearPatches(nn.Module):
    """Qwen2.5-VL's patch embedding as the matrix product that it is.

    Its convolution never overlaps, and in bfloat16 on a CPU its backward pass takes forty times as long.
    The weight keeps its name, ``proj.weight``.
    """

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        self.proj: nn.Conv3d = embedding.proj

    def forward(self, patches: Tensor) -> Tensor:
        """[patches, values of a patch] -> [patches, width]"""
        return nn.functional.linear(patches, self.proj.weight.flatten(1))


class VisionModules(nn.Module):
    """The MLLM's vision tower, and a readout of what it sees."""

    def __init__(self, model: GoTModel) -> None:
        super().__init__()
        self.mllm = model.reasoner.mllm.requires_grad_(False)
        self.mllm.model.visual.requires_grad_(True)
        self.mllm.model.visual.patch_embed = LinearPatches(self.mllm.model.visual.patch_embed)
        self.content_readout = ContentReadout(model.settings.sizes.hidden)
        self.place_readout = PlaceReadout(model.settings.sizes.hidden)

    def visual_tokens(self, pixel_values: Tensor, image_grid_thw: Tensor) -> Tensor:
        """[pictures * visual tokens, hidden]"""
        features = self.mllm.model.get_image_features(pixel_values, image_grid_thw)
        return torch.cat(getattr(features, "pooler_output", features))


class VisionStage:
    """The vision tower learns to tell what stands on each visual token, and how far it reaches from there."""

    name = "vision"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        self.config = config
        self.settings = config.vision
        model = GoTModel.from_pretrained(folder)
        self.module = VisionModules(model)
        self.collate = collator(model)
        self.steps, self.warmup_steps = self.settings.steps, self.settings.warmup_steps
        trained = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.parameter_groups = [(trained, self.settings.learning_rate)]
        self.averaged: list[nn.Parameter] = []

    def losses(self, module: VisionModules, step: int) -> dict[str, Tensor]:
        """The readout's, on scenes that no earlier step has seen."""
        rng = random.Random(f"vision {self.config.seed} {step}")
        scenes = [
            sample_source(rng) if row % 2 else sample_generation(rng).target
            for row in range(self.settings.pictures_per_batch)
        ]
        pixel_values, grids, targets = self.collate.pictures(scenes)
        device = module.mllm.device
        features = module.visual_tokens(pixel_values.to(device), grids.to(device))
        targets = from_token(targets.to(device)).flatten(0, 1)
        return {
            "content": module.content_readout(features, targets),
            "place": module.place_readout(features, targets),
        }

    def save(self, folder: Path) -> None:
        """Writes mllm/."""
        self.module.mllm.save_pretrained(folder / "mllm")


def from_token(targets: Tensor) -> Tensor:
    """Readout targets [b, tokens, 7] with boxes measured from each visual token's own corner.

    The vision tower knows only distances; where a token lies in the picture, the MLLM's positions tell.
    """
    side = math.isqrt(targets.shape[1])
    edges = torch.arange(side, device=targets.device) / side
    top, left = (corner.flatten() for corner in torch.meshgrid(edges, edges, indexing="ij"))
    moved = targets.clone()
    moved[..., 3:] -= torch.stack([left, top, left, top], dim=-1)
    return moved


class LanguageModules(nn.Module):
    """The MLLM, the SSGM's projectors and the readouts: everything that the language stage trains.

    The vision tower stays as its own stage left it.
    """

    naming_weights: Tensor

    def __init__(self, model: GoTModel) -> None:
        super().__init__()
        sizes, folder = model.settings.sizes, model.path
        self.mllm = model.reasoner.mllm
        self.mllm.requires_grad_(True).model.visual.requires_grad_(False)
        # On a CPU, and at lengths like these, eager attention is faster than sdpa: above all backwards.
        self.mllm.set_attn_implementation({"text_config": "eager", "vision_config": "sdpa"})
        self.ssgm = model.ssgm.requires_grad_(True)
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

        Without a mask: padding stands on the right, where causal attention never looks.
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
        """Cross-entropy of the chains; in those of edits, naming words count several times."""
        weights = None if batch.visual is None else self.naming_weights
        return chain_loss(self.mllm, hidden, batch.labels, weights)

    def readout_loss(
        self, hidden: tuple[Tensor, ...], selected: Tensor, batch: ChainBatch, ids: TokenIds
    ) -> Tensor:
        """Of the regions, from the semantic guidance, and of the source picture, from the visual tokens.

        The visual tokens are read halfway through the layers: the second half has to write from them. Where
        the box of a thing in the picture starts, its place is read before the last layer, which has to write
        the digits.
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
    weights = torch.ones(model.reasoner.mllm.config.get_text_config().vocab_size)
    weights[model.reasoner.tokenizer(" " + words, add_special_tokens=False)["input_ids"]] = NAMING_WEIGHT
    return weights


def box_starts(batch: ChainBatch, box_start: int) -> tuple[Tensor, Tensor]:
    """Where each chain's first four boxes start, as booleans [b, length], and in their order the readout's
    targets [boxes, 7]."""
    starts = batch.input_ids == box_start
    starts &= starts.cumsum(dim=1) <= batch.seen.shape[1]
    slots = starts.cumsum(dim=1)[starts] - 1  # which of its chain's boxes each one is
    return starts, batch.seen[starts.nonzero()[:, 0], slots]


class LanguageStage:
    """The MLLM learns to write chains, to see, and to gather each region's content in its image tokens."""

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
            # Boxes off the grid are there to be read and drawn; the MLLM itself plans on the grid.
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


class JointModules(nn.Module):
    """Everything that the joint stage trains."""

    def __init__(self, model: GoTModel) -> None:
        super().__init__()
        self.language = LanguageModules(model)
        self.unet = model.unet.requires_grad_(True)
        self.unet.set_attn_processor(AttnProcessor())  # as for the MLLM: faster on a CPU, above all backwards


class DrawingStage:
    """What the two stages with a UNet share: encoded rows, and the diffusion loss under their guidance."""

    name: str

    def __init__(self, folder: Path, config: TrainingConfig, settings: UnetSettings | JointSettings) -> None:
        self.config = config
        self.settings = settings
        model = GoTModel.from_pretrained(folder)
        self.module = JointModules(model)
        self.collate = collator(model)
        self.scheduler = DDPMScheduler.from_config(model.scheduler_config)
        self.scaling_factor: float = model.vae.config["scaling_factor"]
        self.latents = encoded_rows(model, config)
        self.steps, self.warmup_steps = settings.steps, settings.warmup_steps
        self.ema_decay = settings.ema_decay

    def rows_of_step(self, step: int) -> dict[str, list[int]]:
        """The encoded rows of each task that a step draws."""
        settings = self.settings
        counts = {"generate": settings.generations_per_batch, "edit": settings.edits_per_batch}
        return {task: self.rows(task, count, step) for task, count in counts.items()}

    def encoded(self, task: str, rows: list[int]) -> dict[str, Tensor]:
        """The latents of encoded rows: target, reference and spatial guidance."""
        return {part: self.latents[f"{task}.{part}"][rows] for part in ("target", "reference", "spatial")}

    def diffusion(
        self, module: JointModules, hidden: list[Tensor], latents: list[dict[str, Tensor]], step: int
    ) -> Tensor:
        """The loss on the noise, under the guidance of image tokens [b, 64, hidden] of each task."""
        semantic, null_semantic, pooled = module.language.ssgm.semantic(torch.cat(hidden))
        gathered = {
            part: torch.cat([values[part] for values in latents]).to(semantic.device) for part in latents[0]
        }
        noise = self.config.noise
        return self.config.diffusion_weight * diffusion_loss(
            module.unet,
            self.scheduler,
            DiffusionTargets(
                latents=gathered["target"] * self.scaling_factor,
                reference=gathered["reference"],
                spatial=gathered["spatial"],
                semantic=semantic,
                null_semantic=null_semantic,
                pooled=pooled,
            ),
            size=(PICTURE_SIZE, PICTURE_SIZE),
            repeats=self.settings.timesteps_per_picture,
            noise_offset=noise.offset,
            dropout=noise.dropout,
            largest_weight=noise.largest_weight,
            generator=torch.Generator().manual_seed(step_seed(self.config.seed, self.name, step)),
        )

    def rows(self, task: str, count: int, step: int) -> list[int]:
        """The encoded rows of one step: every row once in each pass, each pass in its own order."""
        total = self.config.encoded_rows
        rows = []
        for position in range(step * count, (step + 1) * count):
            order = torch.randperm(
                total,
                generator=torch.Generator().manual_seed(step_seed(self.config.seed, task, position // total)),
            )
            rows.append(int(order[position % total]))
        return rows

    def save(self, folder: Path) -> None:
        self.module.language.save(folder)
        self.module.unet.save_pretrained(folder / "unet")


class UnetStage(DrawingStage):
    """The UNet and the projectors learn to draw from the image tokens of the MLLM, which stays as it is."""

    name = "unet"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        super().__init__(folder, config, config.unet)
        self.module.language.requires_grad_(False)
        self.module.language.ssgm.requires_grad_(True)
        self.averaged = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.parameter_groups = [(self.averaged, self.settings.learning_rate)]
        self.image_tokens = {task: self.read(task) for task in ("generate", "edit")}

    @torch.no_grad()
    def read(self, task: str) -> Tensor:
        """The MLLM's hidden states [rows, 64, hidden] at the image tokens of every encoded row.

        They never change in this stage, and every row is drawn many times.
        """
        language, read = self.module.language, []
        rows = range(self.config.encoded_rows)
        half_precision = self.name in self.config.half_precision_stages
        for start in tqdm(range(0, len(rows), READ_AT_ONCE), desc=f"reading, {task}", mininterval=5):
            examples = [
                drawn_example(task, self.config.seed, row) for row in rows[start : start + READ_AT_ONCE]
            ]
            batch = self.collate(examples).to(language.mllm.device)
            with autocast(batch.input_ids.device.type, torch.bfloat16, enabled=half_precision):
                states = language.hidden_states(batch)[-1]
            read.append(select_image_tokens(states, batch.input_ids, self.collate.token_ids.image_tokens))
        return torch.cat(read)

    def losses(self, module: JointModules, step: int) -> dict[str, Tensor]:
        hidden, latents = [], []
        for task, rows in self.rows_of_step(step).items():
            hidden.append(self.image_tokens[task][rows].to(module.unet.device))
            latents.append(self.encoded(task, rows))
        return {"diffusion": self.diffusion(module, hidden, latents, step)}


class JointStage(DrawingStage):
    """The paper's joint objective: the diffusion loss flows through the semantic guidance into the MLLM."""

    name = "joint"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        super().__init__(folder, config, config.joint)
        self.parameter_groups = [
            (list(self.module.unet.parameters()), config.joint.learning_rate),
            (list(self.module.language.parameters()), config.joint.mllm_learning_rate),
        ]
        self.averaged = list(self.module.parameters())

    def fresh_rows(self, step: int) -> list[list[Example]]:
        """Generations and edits that no earlier step has seen; the edits' sources are easily mixed up."""
        seed, joint = self.config.seed, self.config.joint
        generations, edits = joint.chain_generations_per_batch, joint.chain_edits_per_batch
        return [
            [generation_example(seed, LATER + step * generations + row) for row in range(generations)],
            [confusable_edit_example(seed, step * edits + row) for row in range(edits)],
        ]

    def losses(self, module: JointModules, step: int) -> dict[str, Tensor]:
        """The chains' losses on new rows; the readout's and the diffusion loss on encoded rows."""
        config, ids = self.config, self.collate.token_ids
        chain, lookup = chains_losses(module.language, self.collate, self.fresh_rows(step))
        readout, hidden, latents = [], [], []
        for task, rows in self.rows_of_step(step).items():
            batch = self.collate([drawn_example(task, config.seed, row) for row in rows])
            batch = batch.to(module.language.mllm.device)
            states = module.language.hidden_states(batch)
            hidden.append(select_image_tokens(states[-1], batch.input_ids, ids.image_tokens))
            readout.append(module.language.readout_loss(states, hidden[-1], batch, ids))
            latents.append(self.encoded(task, rows))
        return {
            "chain": config.chain_weight * chain,
            "lookup": config.lookup_weight * lookup,
            "readout": config.readout_weight * mean(readout),
            "diffusion": self.diffusion(module, hidden, latents, step),
        }


def collator(model: GoTModel) -> Collator:
    """The collator with a checkpoint's tokenizer and image processor."""
    return Collator(model.reasoner.tokenizer, model.reasoner.image_processor, model.settings.vision_size)


def drawn_example(task: str, seed: int, row: int) -> Example:
    """Row ``row`` of the task's stream; every second generation lies off the grid, as moved boxes do."""
    if task == "edit":
        return edit_example(seed, row)
    example = generation_example(seed, row)
    return nudged(random.Random(f"nudge {seed} {row}"), example) if off_grid(task, row) else example


def off_grid(task: str, row: int) -> bool:
    """Whether ``drawn_example`` lies off the grid."""
    return task == "generate" and row % 2 == 1


def fresh_rows(seed: int, step: int, generations: int, edits: int) -> list[list[Example]]:
    """The rows of one step that no earlier step has seen: generations and edits."""
    return [
        [generation_example(seed, step * generations + row) for row in range(generations)],
        [fresh_edit_example(seed, step * edits + row) for row in range(edits)],
    ]


def fresh_edit_example(seed: int, row: int) -> Example:
    """A new edit; every third has a source that is laid out as generated pictures are."""
    return anywhere_edit_example(seed, row) if row % 3 == 0 else edit_example(seed, row)


def chains_losses(
    module: LanguageModules, collate: Collator, rows: list[list[Example]]
) -> tuple[Tensor, Tensor]:
    """The chains' mean loss and that of their lookups, without image tokens; rows of like length go together,
    to pad less."""
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
    """The mean of some losses."""
    return torch.stack(losses).mean()


def encoded_rows(model: GoTModel, config: TrainingConfig) -> dict[str, Tensor]:
    """Target, reference and spatial latents (unscaled) of the rows that are drawn, kept in a file."""
    rule = model.settings.mask_rule
    file = model.path / LATENTS_FILE.format(mask_rule=rule)
    if not file.exists():
        size = (PICTURE_SIZE, PICTURE_SIZE)
        encoded: dict[str, list[Tensor]] = {}
        masks: dict[tuple[Box, str], Tensor] = {}  # boxes lie on a grid: most come back
        black = encode_pictures(model.vae, [Image.new("RGB", size)])
        rows = [(task, row) for task in ("generate", "edit") for row in range(config.encoded_rows)]
        for task, row in tqdm(rows, desc="encoding pictures", mininterval=5):
            example = drawn_example(task, config.seed, row)
            colored_boxes = {(region.box, region.color): region for region in example.chain.regions}
            for key, region in colored_boxes.items():
                if key not in masks:
                    masks[key] = encode_pictures(model.vae, draw_region_masks([region], size, rule))
            spatial = torch.cat([masks[key] for key in colored_boxes]).mean(dim=0, keepdim=True)
            target = encode_pictures(model.vae, [draw(example.target)])
            reference = encode_pictures(model.vae, [draw(example.source)]) if example.source else black
            for part, latents in (("target", target), ("reference", reference), ("spatial", spatial)):
                encoded.setdefault(f"{task}.{part}", []).append(latents)
        with whole_file(file) as beside:
            save_file({name: torch.cat(values).contiguous() for name, values in encoded.items()}, beside)
    return load_file(file)


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, pictures: list[Image.Image]) -> Tensor:
    """Unscaled latents [n, 4, h, w]."""
    return encode_unscaled(vae, pictures_to_tensor(pictures, vae.device))
