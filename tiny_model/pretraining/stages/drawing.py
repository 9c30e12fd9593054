"""What the stages that draw have in common: a UNet trained under guidance."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor, nn

from got_models.pipeline import GoTModel
from got_models.training.losses import DiffusionTargets, diffusion_loss
from got_models.training.schedule import step_seed

from ...world.scene import PICTURE_SIZE
from ..config import JointSettings, TrainingConfig, UnetSettings
from .encoding import encoded_rows
from .language import LanguageModules, collator


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
        self.latents = encoded_rows(folder, config)
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
