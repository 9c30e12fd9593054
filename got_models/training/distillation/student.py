"""The student: the checkpoint's UNet with a LoRA that learns where the teacher's steps lead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor

from ...diffusion.guidance import Guidance
from ...diffusion.sampler import BranchBatch, make_scheduler
from ...diffusion.speed import Distilled
from ...pipeline import GoTModel
from ...weights.adapter import Adapter
from ...weights.distilled import TASKS, distilled_information
from ...weights.fingerprints import sampled_digest
from ..config import LoraTraining, without_paths
from ..frozen_weights import store_in_int8
from ..material import TrainedModules
from ..unet_lora import add_unet_lora, lora_factors
from .teacher import signal_shares, step, timesteps


@dataclass(frozen=True)
class WalkBatch:
    """Plans of one task and size, and how the teacher draws them: `states` [b, steps + 1, 4, h, w]."""

    guidance: Guidance
    states: Tensor

    def to(self, device: torch.device) -> WalkBatch:
        """The same; the guidance is moved where it is used."""
        return WalkBatch(self.guidance, self.states.to(device))


class StudentModules(TrainedModules):
    """The UNet of a checkpoint with trainable factors in float32.

    The model's UNet is modified; it cannot be used for anything else afterwards.
    """

    def __init__(self, model: GoTModel, config: LoraTraining) -> None:
        super().__init__()
        self.config = config
        self.distilled = Distilled(
            config.distill.steps,
            {task: model.default_scales(task) for task in TASKS},
            sampled_digest(model.path / "unet"),
        )
        schedule = make_scheduler(model.scheduler_config, "ddpm")
        self.times = timesteps(config.distill.steps, schedule.config.num_train_timesteps)
        self.kept = signal_shares(schedule.alphas_cumprod, self.times)
        torch.manual_seed(config.seed)  # for initializing the factors A
        self.unet: Any = model.parts.unet()
        if config.fp8_base:
            store_in_int8(self.unet)
        add_unet_lora(self.unet, config.unet)
        for parameter in self.trained():
            parameter.data = parameter.data.float()
        if config.gradient_checkpointing:
            self.unet.enable_gradient_checkpointing()
        if self.unet.device.type == "cpu":  # where eager attention is faster, above all in the backward pass
            self.unet.set_attn_processor(AttnProcessor())
        self.train()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The parameters and their learning rate, for the optimizer."""
        return [{"params": self.trained(), "lr": self.config.unet.learning_rate}]

    def forward(self, batch: WalkBatch, seed: int) -> dict[str, Tensor]:
        """The mean squared error of the states that the student reaches, each from where it was before.

        So it also learns to correct its own errors. The seed is unused: nothing here is random.
        """
        branch = BranchBatch.of(batch.guidance, ("full",), self.unet.device, self.unet.dtype)
        latents = batch.states[:, 0]
        kept = self.kept.to(latents.device)
        errors = []
        for index, timestep in enumerate(self.times):
            time = torch.tensor(timestep, device=latents.device)
            noise = branch.predict(self.unet, latents, time)["full"].float()
            reached = step(latents, noise, kept[index], kept[index + 1])
            errors.append((reached - batch.states[:, index + 1]).square().mean())
            latents = reached.detach()
        return {"states": torch.stack(errors).mean()}

    @torch.no_grad()
    def adapter(self, information: dict[str, Any]) -> Adapter:
        """The adapter trained so far."""
        part = self.config.unet
        return Adapter(
            tensors=dict(lora_factors("unet", self.unet)),
            mllm_scale=1.0,
            unet_scale=part.alpha / part.rank,
            information={
                "config": without_paths(self.config),
                **distilled_information(self.distilled),
                **information,
            },
        )
