"""GoT's guidance in ComfyUI's samplers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.diffusers_convert
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.samplers
import comfy.sd
import comfy.supported_models
import comfy.utils
import torch
from torch import Tensor

from ...got_models.constants import FASTEST
from ...got_models.diffusion.guidance import Guidance, active_branches, branch_inputs, combine
from ...got_models.diffusion.sampler import make_scheduler
from ...got_models.diffusion.settings import GuidanceScales, SamplingSettings
from ...got_models.diffusion.speed import Defaults, Distilled, evaluated_scales, resolved, schedule_config
from ...got_models.errors import GoTError
from .._inputs import received
from ..guidance import Conditioning, EncodedPlan, conditioning
from .sdxl import GoTSDXL

TRAINING_TIMESTEPS = 1000
PUBLISHED_SCHEDULE = {
    "num_train_timesteps": TRAINING_TIMESTEPS,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "timestep_spacing": "leading",
    "steps_offset": 1,
}
"""SDXL's, which ComfyUI takes for granted too."""
FASTEST_STEPS = 4


class MultiGuidance(comfy.samplers.CFGGuider):
    """Paper eq. 1 over predicted x0. Branches whose coefficient is zero are not evaluated."""

    def __init__(
        self, model: comfy.model_patcher.ModelPatcher, guidance: Guidance, settings: SamplingSettings
    ) -> None:
        super().__init__(model)
        self.settings = settings
        scales = self.scales_at(1.0)
        self.set_cfg(scales.semantic)
        conds = {branch: branch_conditioning(guidance, branch) for branch in active_branches(scales)}
        self.inner_set_conds(conds)

    def predict_noise(
        self, x: Tensor, timestep: Tensor, model_options: Mapping[str, Any], seed: int | None = None
    ) -> Tensor:
        """Noisy latents x [b, 4, h, w] -> predicted x0. ComfyUI batches the branches as memory allows."""
        sampling = self.inner_model.model_sampling
        scales = self.scales_at(float(sampling.timestep(timestep.max())) / TRAINING_TIMESTEPS)
        branches = active_branches(scales)
        conds = [self.conds[branch] for branch in branches]
        predictions = comfy.samplers.calc_cond_batch(self.inner_model, conds, x, timestep, model_options)
        combined = combine(dict(zip(branches, predictions, strict=True)), scales)
        # As ComfyUI does after its own guidance: the CFG++ samplers and some model patches come in here.
        # Their "uncond" is the least guided branch that was evaluated.
        for change in model_options.get("sampler_post_cfg_function", []):
            combined = change(
                {
                    "denoised": combined,
                    "cond": conds[0],
                    "uncond": conds[-1],
                    "cond_scale": self.cfg,
                    "model": self.inner_model,
                    "cond_denoised": predictions[0],
                    "uncond_denoised": predictions[-1],
                    "sigma": timestep,
                    "model_options": model_options,
                    "input": x,
                }
            )
        return combined

    def scales_at(self, noise: float) -> GuidanceScales:
        """The scales at a timestep, given as a share of the training timesteps."""
        scales = evaluated_scales(self.settings, noise)
        if scales is None:
            raise GoTError("GoT Guider needs guidance scales; the settings name none.")
        return scales


def make_guider(
    model: comfy.model_patcher.ModelPatcher, guidance: Guidance, settings: SamplingSettings
) -> MultiGuidance:
    """The guider of a GoT MODEL; the settings hold scales, and the speed that says when they apply.

    Raises:
        GoTError: no MODEL, or one that is not GoT's.
    """
    if not isinstance(model, comfy.model_patcher.ModelPatcher):
        raise GoTError(f"GoT Guider needs the MODEL of GoT Native Model Loader, got {received(model)}.")
    if not isinstance(model.model, GoTSDXL):
        raise GoTError(
            f"GoT Guider needs the MODEL of GoT Native Model Loader, got a MODEL of the kind "
            f"{type(model.model).__name__}. Other models take neither boxes nor a reference picture."
        )
    return MultiGuidance(model, guidance, settings)


def settings_of(
    model: comfy.model_patcher.ModelPatcher, plan: EncodedPlan, given: SamplingSettings
) -> SamplingSettings:
    """The settings that are meant for a plan.

    ComfyUI's LoRA loaders do not tell what a LoRA was made for: only whether there is one can be checked.

    Raises:
        GoTError: settings that contradict each other, or `fastest` without a LoRA.
    """
    own = Defaults(plan.default_scales, plan.steps, plan.speed)
    task = plan.chain.task
    has_lora = bool(getattr(model, "patches", None))
    distilled = Distilled(FASTEST_STEPS, {task: plan.default_scales}, "")
    return resolved(given, task, own, distilled if given.speed == FASTEST and has_lora else None)


def sampler_and_sigmas(
    model: comfy.model_patcher.ModelPatcher, settings: SamplingSettings
) -> tuple[comfy.samplers.KSAMPLER, Tensor]:
    """ComfyUI's sampler, and the noise levels [steps + 1] at which the library takes its steps."""
    schedule = make_scheduler(schedule_config(PUBLISHED_SCHEDULE, settings), settings.scheduler or "")
    schedule.set_timesteps(settings.steps)
    sampling = model.get_model_object("model_sampling")
    sigmas = sampling.sigma(torch.as_tensor(schedule.timesteps, dtype=torch.float32)).cpu().float()
    return comfy.samplers.sampler_object(settings.scheduler), torch.cat([sigmas, torch.zeros(1)])


def branch_conditioning(guidance: Guidance, branch: str) -> Conditioning:
    """One branch's inputs, in the form that SSGM Encode uses for the full and the null branch."""
    semantic, spatial, reference = branch_inputs(guidance, branch)
    positive, _ = conditioning(guidance)
    return [[semantic, {**positive[0][1], "got_reference": reference, "got_spatial": spatial}]]
