"""The three stages that make the bundled model from nothing: chain language, VAE, then everything together.

A stage owns its modules and says what one step's losses are; ``trainer.py`` runs it. All randomness of a step
comes from the seed, the stage's name and the step's number, so that a resumed run continues bit for bit.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from ..checkpoint import PROJECTORS_FILE
from ..model import GoTModel
from ..reasoner import last_hidden_states, select_image_tokens
from ..shapes.language import GRID_STEP, sample_generation
from ..shapes.scene import BACKGROUNDS, COLORS, PICTURE_SIZE, SHAPES, SIZES, Scene, draw, draw_shape
from ..ssgm import draw_region_masks, encode_unscaled, pictures_to_tensor
from .config import TrainingConfig
from .data import ChainBatch, Collator, Example, edit_example, generation_example
from .losses import DiffusionTargets, chain_loss, diffusion_loss
from .readout import ContentReadout

READOUTS_FILE = "readouts.safetensors"
LATENTS_FILE = "latents.safetensors"
LATER = 1_000_000
"""Added to the joint stage's step, so that its chains are none of the language stage's."""


def step_seed(seed: int, stage: str, step: int) -> int:
    """A 32-bit seed for one step of one stage."""
    return zlib.crc32(f"{seed} {stage} {step}".encode())


class VaeStage:
    """Pictures in, the same pictures out. Learns scenes, and coloured boxes on black for spatial guidance."""

    name = "vae"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        self.config = config
        self.settings = config.vae
        self.module = GoTModel.from_pretrained(folder).vae.requires_grad_(True)
        self.steps, self.warmup_steps = self.settings.steps, self.settings.warmup_steps
        self.parameter_groups = [(list(self.module.parameters()), self.settings.learning_rate)]
        self.averaged = list(self.module.parameters())
        self.ema_decay = self.settings.ema_decay

    def losses(self, module: nn.Module, step: int) -> dict[str, Tensor]:
        """L1 plus squared error of the decoded picture, and a small pull of the latents towards zero."""
        settings = self.settings
        rng = random.Random(f"vae {self.config.seed} {step}")
        generator = torch.Generator().manual_seed(step_seed(self.config.seed, self.name, step))
        pictures = [whole_picture(rng) if step % 4 == 0 else collage(rng)]
        pixels = pictures_to_tensor(pictures, next(module.parameters()).device)
        decoded, latents = autoencode(module, pixels, settings.latent_noise, generator)
        error = decoded - pixels
        return {
            "picture": error.abs().mean() + error.square().mean(),
            "latents": 1e-3 * latents.square().mean(),
        }

    def save(self, folder: Path) -> None:
        """Writes the VAE with the scaling factor that gives scenes' latents a standard deviation of 1."""
        rng = random.Random(f"vae scaling {self.config.seed}")
        pictures = [draw(sample_generation(rng).target) for _ in range(64)]
        self.module.eval()
        with torch.no_grad():
            latents = torch.cat(
                [
                    encode_unscaled(self.module, pictures_to_tensor([picture], self.module.device))
                    for picture in pictures
                ]
            )
        self.module.register_to_config(scaling_factor=float(1 / latents.std()))
        self.module.save_pretrained(folder / "vae")


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


def whole_picture(rng: random.Random) -> Image.Image:
    """A scene, or (one in four) one of the masks of its chain."""
    example = sample_generation(rng)
    if rng.random() < 0.25:
        return rng.choice(draw_region_masks(example.chain.regions, (PICTURE_SIZE, PICTURE_SIZE)))
    return draw(example.target)


class LanguageModules(nn.Module):
    """The MLLM, the SSGM's projectors and the readouts: everything that the language stage trains."""

    def __init__(self, model: GoTModel) -> None:
        super().__init__()
        sizes, folder = model.settings.sizes, model.path
        self.mllm = model.reasoner.mllm.requires_grad_(True)
        self.ssgm = model.ssgm.requires_grad_(True)
        self.region_readout = ContentReadout(sizes.cross_attention)
        self.visual_readout = ContentReadout(sizes.hidden)
        if (folder / READOUTS_FILE).exists():
            self.readouts.load_state_dict(load_file(folder / READOUTS_FILE))

    @property
    def readouts(self) -> nn.ModuleDict:
        return nn.ModuleDict({"region": self.region_readout, "visual": self.visual_readout})

    def hidden_states(self, batch: ChainBatch) -> Tensor:
        """[b, length, hidden] after the final norm."""
        return last_hidden_states(
            self.mllm, batch.input_ids, batch.attention_mask, batch.pixel_values, batch.image_grid_thw
        )

    def chain_loss(self, hidden: Tensor, batch: ChainBatch) -> Tensor:
        """Cross-entropy of the chains."""
        return chain_loss(self.mllm, hidden, batch.labels)

    def readout_loss(self, hidden: Tensor, selected: Tensor, batch: ChainBatch, image_pad: int) -> Tensor:
        """Of the regions, from the semantic guidance, and of the source picture, from the visual tokens."""
        semantic = self.ssgm.output_projector(selected)
        slots = semantic.unflatten(1, (batch.regions.shape[1], -1))  # [b, 4, 16, Dc]
        targets = batch.regions.unsqueeze(2).expand(-1, -1, slots.shape[2], -1)
        loss = self.region_readout(slots, targets)
        if batch.visual is not None:
            pictured = hidden[batch.input_ids == image_pad].view(*batch.visual.shape[:2], -1)
            loss = loss + self.visual_readout(pictured, batch.visual)
        return loss

    def save(self, folder: Path) -> None:
        """Writes mllm/, the projectors and the readouts."""
        self.mllm.save_pretrained(folder / "mllm")
        save_file(self.ssgm.state_dict(), folder / PROJECTORS_FILE)
        save_file(self.readouts.state_dict(), folder / READOUTS_FILE)


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
        """Chain losses of generations and of edits; on every third step the readouts' as well."""
        settings, config, ids = self.settings, self.config, self.collate.token_ids
        rows = fresh_rows(config.seed, step, settings.generations_per_batch, settings.edits_per_batch)
        if step % 3:
            return {"chain": config.chain_weight * chains_loss(module, self.collate, rows)}
        chain, readout = [], []
        for examples in rows:
            batch = self.collate(examples).to(module.mllm.device)
            hidden = module.hidden_states(batch)
            selected = select_image_tokens(hidden, batch.input_ids, ids.image_tokens)
            chain.append(module.chain_loss(hidden, batch))
            readout.append(module.readout_loss(hidden, selected, batch, ids.image_pad))
        return {
            "chain": config.chain_weight * mean(chain),
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


class JointStage:
    """The paper's joint objective: the diffusion loss flows through the semantic guidance into the MLLM."""

    name = "joint"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        self.config = config
        self.settings = config.joint
        model = GoTModel.from_pretrained(folder)
        self.module = JointModules(model)
        self.collate = collator(model)
        self.scheduler = DDPMScheduler.from_config(model.scheduler_config)
        self.scaling_factor: float = model.vae.config["scaling_factor"]
        self.latents = encoded_rows(model, config)
        self.steps, self.warmup_steps = self.settings.steps, self.settings.warmup_steps
        rate = self.settings.learning_rate
        self.parameter_groups = [
            (list(self.module.unet.parameters()), rate),
            (list(self.module.language.parameters()), rate * self.settings.mllm_learning_rate_share),
        ]
        self.averaged = list(self.module.parameters())
        self.ema_decay = self.settings.ema_decay

    def losses(self, module: JointModules, step: int) -> dict[str, Tensor]:
        """The chain loss on new rows, the readout and the diffusion loss on encoded rows, of both tasks."""
        settings, config, ids = self.settings, self.config, self.collate.token_ids
        counts = (settings.generations_per_batch, settings.edits_per_batch)
        chain = chains_loss(module.language, self.collate, fresh_rows(config.seed, LATER + step, *counts))
        readout, hidden, latents = [], [], []
        for task, count in zip(("generate", "edit"), counts, strict=True):
            rows = self.rows(task, count, step)
            examples = [example_of(task, config.seed, row) for row in rows]
            batch = self.collate(examples).to(module.language.mllm.device)
            states = module.language.hidden_states(batch)
            hidden.append(select_image_tokens(states, batch.input_ids, ids.image_tokens))
            readout.append(module.language.readout_loss(states, hidden[-1], batch, ids.image_pad))
            latents.append(
                {part: self.latents[f"{task}.{part}"][rows] for part in ("target", "reference", "spatial")}
            )
        semantic, null_semantic, pooled = module.language.ssgm.semantic(torch.cat(hidden))
        device = semantic.device
        gathered = {part: torch.cat([values[part] for values in latents]).to(device) for part in latents[0]}
        targets = DiffusionTargets(
            latents=gathered["target"] * self.scaling_factor,
            reference=gathered["reference"],
            spatial=gathered["spatial"],
            semantic=semantic,
            null_semantic=null_semantic,
            pooled=pooled,
        )
        diffusion = diffusion_loss(
            module.unet,
            self.scheduler,
            targets,
            size=(PICTURE_SIZE, PICTURE_SIZE),
            repeats=settings.timesteps_per_picture,
            noise_offset=settings.noise_offset,
            dropout=settings.dropout,
            largest_weight=settings.largest_noise_weight,
            generator=torch.Generator().manual_seed(step_seed(config.seed, self.name, step)),
        )
        return {
            "chain": config.chain_weight * chain,
            "readout": config.readout_weight * mean(readout),
            "diffusion": config.diffusion_weight * diffusion,
        }

    def rows(self, task: str, count: int, step: int) -> list[int]:
        """The encoded rows of one step: every row once in each pass, each pass in its own order."""
        total = self.settings.rows
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


def collator(model: GoTModel) -> Collator:
    """The collator with a checkpoint's tokenizer and image processor."""
    return Collator(model.reasoner.tokenizer, model.reasoner.image_processor, model.settings.vision_size)


def example_of(task: str, seed: int, row: int) -> Example:
    """Row ``row`` of the task's stream."""
    return generation_example(seed, row) if task == "generate" else edit_example(seed, row)


def fresh_rows(seed: int, step: int, generations: int, edits: int) -> list[list[Example]]:
    """The rows of one step that no earlier step has seen: generations and edits."""
    return [
        [generation_example(seed, step * generations + row) for row in range(generations)],
        [edit_example(seed, step * edits + row) for row in range(edits)],
    ]


def chains_loss(module: LanguageModules, collate: Collator, rows: list[list[Example]]) -> Tensor:
    """The chains' mean loss, without image tokens; rows of like length go together, to pad less."""
    losses = []
    for examples in rows:
        ordered = sorted(examples, key=lambda example: len(example.chain.text))
        for half in (ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]):
            if half:
                batch = collate(half, with_image_tokens=False).to(module.mllm.device)
                losses.append(module.chain_loss(module.hidden_states(batch), batch))
    return mean(losses)


def mean(losses: list[Tensor]) -> Tensor:
    """The mean of some losses."""
    return torch.stack(losses).mean()


def encoded_rows(model: GoTModel, config: TrainingConfig) -> dict[str, Tensor]:
    """Target, reference and spatial latents (unscaled) of the joint stage's rows, kept in a file."""
    file = model.path / LATENTS_FILE
    if not file.exists():
        vae = model.vae
        encoded: dict[str, list[Tensor]] = {}
        pictures: Iterator[tuple[str, int]] = (
            (task, row) for task in ("generate", "edit") for row in range(config.joint.rows)
        )
        black = encode_pictures(vae, [Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE))])
        for task, row in tqdm(pictures, total=2 * config.joint.rows, desc="encoding pictures", mininterval=5):
            example = example_of(task, config.seed, row)
            masks = draw_region_masks(example.chain.regions, (PICTURE_SIZE, PICTURE_SIZE))
            scenes = [draw(scene) for scene in (example.target, example.source) if isinstance(scene, Scene)]
            latents = encode_pictures(vae, [*scenes, *masks])
            encoded.setdefault(f"{task}.target", []).append(latents[:1])
            encoded.setdefault(f"{task}.reference", []).append(latents[1:2] if example.source else black)
            encoded.setdefault(f"{task}.spatial", []).append(latents[len(scenes) :].mean(dim=0, keepdim=True))
        beside = file.with_suffix(".part")
        save_file({name: torch.cat(values).contiguous() for name, values in encoded.items()}, beside)
        beside.replace(file)
    return load_file(file)


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, pictures: list[Image.Image]) -> Tensor:
    """Unscaled latents [n, 4, h, w]."""
    return encode_unscaled(vae, pictures_to_tensor(pictures))
