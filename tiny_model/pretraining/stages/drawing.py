"""What the stages that draw have in common: a UNet trained under guidance."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from got_models.chain.chain import Box
from got_models.diffusion.box_masks import draw_region_masks
from got_models.files.whole_files import whole_file
from got_models.pipeline import GoTModel
from got_models.training.losses import DiffusionTargets, diffusion_loss
from got_models.training.schedule import step_seed

from ...world.scene import PICTURE_SIZE
from ..config import JointSettings, TrainingConfig, UnetSettings
from ..rows import drawn
from .language import LanguageModules, collator
from .vae import encode_pictures

LATENTS_FILE = "latents.{mask_rule}.safetensors"


class JointModules(nn.Module):
    """Everything that the joint stage trains."""

    def __init__(self, model: GoTModel) -> None:
        super().__init__()
        self.language = LanguageModules(model)
        self.unet = model.parts.unet().requires_grad_(True)
        self.unet.set_attn_processor(AttnProcessor())  # faster on a CPU, as for the MLLM


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
        self.scaling_factor: float = model.parts.vae().config["scaling_factor"]
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
        """The encoded rows of one step: every row once per pass, each pass in its own order."""
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


def encoded_rows(model: GoTModel, config: TrainingConfig) -> dict[str, Tensor]:
    """Target, reference and spatial latents (unscaled) of the rows to draw, cached in a file."""
    rule = model.settings.mask_rule
    file = model.path / LATENTS_FILE.format(mask_rule=rule)
    if not file.exists():
        size = (PICTURE_SIZE, PICTURE_SIZE)
        encoded: dict[str, list[Tensor]] = {}
        masks: dict[tuple[Box, str], Tensor] = {}  # many recur: those of the generations on the grid
        vae = model.parts.vae()
        black = encode_pictures(vae, [Image.new("RGB", size)])
        rows = [(task, row) for task in ("generate", "edit") for row in range(config.encoded_rows)]
        for task, row in tqdm(rows, desc="encoding pictures", mininterval=5):
            example = drawn(task, config.seed, row)
            colored_boxes = {(region.box, region.color): region for region in example.chain.regions}
            for key, region in colored_boxes.items():
                if key not in masks:
                    masks[key] = encode_pictures(vae, draw_region_masks([region], size, rule))
            spatial = torch.cat([masks[key] for key in colored_boxes]).mean(dim=0, keepdim=True)
            target = encode_pictures(vae, [example.look.draw(example.target)])
            source = example.source
            reference = encode_pictures(vae, [example.look.draw(source)]) if source else black
            for part, latents in (("target", target), ("reference", reference), ("spatial", spatial)):
                encoded.setdefault(f"{task}.{part}", []).append(latents)
        with whole_file(file) as temporary:
            save_file({name: torch.cat(values).contiguous() for name, values in encoded.items()}, temporary)
    return load_file(file)
