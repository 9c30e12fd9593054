"""The denoising loop: noise becomes latents under guidance, step by step."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..constants import SCHEDULERS
from ..errors import GoTError, Interrupted, short_repr
from ..finite import not_finite
from .guidance import BRANCHES, LATENT_CHANNELS, Guidance, active_branches, branch_inputs, combine
from .settings import GuidanceScales, SamplingSettings
from .speed import evaluated_scales, schedule_config
from .unet_cache import Rows, reuse_computations

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel


@dataclass(frozen=True)
class Step:
    """One finished denoising step: `index` counts from 1 to `total`.

    `latents` [b, 4, h, w] are scaled and still noisy; `predicted` is the step's estimate of the clean
    latents; `branches` are the predicted noises of the branches that were evaluated.
    """

    index: int
    total: int
    latents: Tensor
    predicted: Tensor
    branches: Mapping[str, Tensor] = field(default_factory=dict)


def make_scheduler(config: Mapping[str, Any], name: str) -> Any:
    """The named diffusers scheduler, on the noise schedule of the checkpoint's scheduler config.

    Raises:
        GoTError: an unknown name.
    """
    # Imported individually: some schedulers import scipy, which takes longer than ten steps of a small model.
    if name == "ddpm":
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

        return DDPMScheduler.from_config(config)
    if name == "euler":
        from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

        return EulerDiscreteScheduler.from_config(config)
    if name == "dpm++2m":
        from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

        return DPMSolverMultistepScheduler.from_config(config, algorithm_type="dpmsolver++", solver_order=2)
    if name == "unipc":
        from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

        return UniPCMultistepScheduler.from_config(config)
    raise GoTError(f"The scheduler is one of {', '.join(SCHEDULERS)}; got {short_repr(name)}.")


@torch.inference_mode()
def denoise(
    unet: UNet2DConditionModel,
    scheduler_config: Mapping[str, Any],
    guidance: Guidance,
    settings: SamplingSettings,
    *,
    on_step: Callable[[Step], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    branches_at_once: int = len(BRANCHES),
    every_branch: bool = False,
) -> Tensor:
    """Denoise from pure noise to scaled latents [b, 4, h, w], in float32 whatever the UNet's dtype.

    One generator on the CPU, seeded from the settings, draws the initial noise and is then passed to every
    stochastic scheduler step: a seed gives the same noise on every device and in every dtype. Branches with a
    coefficient of zero are not evaluated.

    Args:
        unet: on its device, with the latents', the reference's and the spatial channels as input.
        settings: with scales and steps set, since no checkpoint defaults are applied here.
        on_step: called after every step.
        should_stop: called before every step.
        branches_at_once: at least 1; the number of branches in one UNet batch. Fewer use less memory and are
        slower.
        every_branch: whether `on_step` receives also the branches that the picture does not need.

    Raises:
        GoTError: invalid settings or channel counts, or values that are not finite.
        Interrupted: `should_stop` returned true.
    """
    # 1. Check everything before the first evaluation.
    _check_channels(unet, guidance)
    schedule = make_scheduler(schedule_config(scheduler_config, settings), settings.scheduler or "ddpm")
    steps = _checked(settings, schedule.config.num_train_timesteps)

    # 2. Draw the initial noise.
    device, dtype = unet.device, unet.dtype  # once: diffusers searches all modules for them
    generator = torch.Generator().manual_seed(settings.seed)
    schedule.set_timesteps(steps)  # on the CPU, where its numbers are read without waiting for a GPU
    latents = torch.randn(guidance.reference.shape, generator=generator).to(device)
    latents = latents * schedule.init_noise_sigma
    noise = _noise_source(schedule, generator)

    # 3. Denoise.
    finite: list[dict[str, Tensor]] = []  # whether each step's and branch's prediction is finite
    index = 0
    for scales, timesteps in _phases(schedule, settings):
        # The active branches are distributed over UNet batches: one row per branch (and picture).
        branches = BRANCHES if every_branch else active_branches(scales)
        groups = [branches[at : at + branches_at_once] for at in range(0, len(branches), branches_at_once)]
        batches = [BranchBatch.of(guidance, group, device, dtype) for group in groups]
        with reuse_computations(unet, [batch.rows for batch in batches]):
            for timestep in timesteps:
                index += 1
                _stop_if(should_stop, index, steps)
                noisy = schedule.scale_model_input(latents, timestep)
                predictions = _predict(batches, unet, noisy, timestep)
                finite.append({branch: value.isfinite().all() for branch, value in predictions.items()})
                combined = combine(predictions, scales)
                latents = schedule.step(combined, timestep, latents, return_dict=False, **noise)[0]
                # Not after every step: the check synchronizes a GPU. Most faults show in the first step.
                if index in (1, steps) and not torch.isfinite(latents).all():
                    raise _not_finite(finite, unet)
                if on_step is not None:
                    kept = schedule.alphas_cumprod[int(timestep)]
                    predicted = (noisy - (1 - kept).sqrt() * combined) / kept.sqrt()
                    on_step(Step(index, steps, latents, predicted, predictions))
    return latents


def _phases(schedule: Any, settings: SamplingSettings) -> Iterator[tuple[GuidanceScales, list[Tensor]]]:
    """The scales, and the timesteps that follow each other under them.

    Raises:
        GoTError: the settings name no scales.
    """
    most = schedule.config.num_train_timesteps
    by_scales = groupby(schedule.timesteps, lambda timestep: evaluated_scales(settings, int(timestep) / most))
    for scales, timesteps in by_scales:
        if scales is None:
            raise GoTError("Sampling needs guidance scales; the settings name none.")
        yield scales, list(timesteps)


def _stop_if(should_stop: Callable[[], bool] | None, index: int, steps: int) -> None:
    if should_stop is not None and should_stop():
        raise Interrupted(f"Sampling was interrupted before step {index} of {steps}.")


def _noise_source(schedule: Any, generator: torch.Generator) -> dict[str, torch.Generator]:
    """The keyword argument for a scheduler step's generator, if it takes one."""
    takes_noise = "generator" in inspect.signature(schedule.step).parameters
    return {"generator": generator} if takes_noise else {}


def _predict(
    batches: Sequence[BranchBatch], unet: UNet2DConditionModel, noisy: Tensor, timestep: Tensor
) -> dict[str, Tensor]:
    """Each branch's predicted noise [b, 4, h, w]."""
    predictions: dict[str, Tensor] = {}
    for batch in batches:
        predictions |= batch.predict(unet, noisy, timestep)
    return predictions


def _checked(settings: SamplingSettings, most: int) -> int:
    """The number of steps.

    Raises:
        GoTError: scales or steps are missing, or there are more than `most` steps.
    """
    steps = settings.steps
    if settings.scales is None or steps is None:
        raise GoTError("Sampling needs guidance scales and a number of steps; the settings name none.")
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= most:
        raise GoTError(
            f"The number of steps must be a whole number from 1 to {most}, got {short_repr(steps)}."
        )
    return steps


@dataclass(frozen=True)
class BranchBatch:
    """Branches that the UNet evaluates together, and their conditioning; r rows are branches * pictures.

    semantic is [r, n, Dc], conditions are reference and spatial latents [r, 8, h, w], added is pooled [r, Dp]
    and time ids [r, 6]. rows says which rows differ only in semantic.
    """

    branches: tuple[str, ...]
    semantic: Tensor
    conditions: Tensor
    added: dict[str, Tensor]
    rows: Rows

    @classmethod
    def of(
        cls, guidance: Guidance, branches: tuple[str, ...], device: torch.device | str, dtype: torch.dtype
    ) -> BranchBatch:
        inputs = [branch_inputs(guidance, branch) for branch in branches]
        semantic = torch.cat([states for states, _, _ in inputs])
        conditions = torch.cat([torch.cat([reference, spatial], dim=1) for _, spatial, reference in inputs])
        pooled = guidance.pooled.repeat(len(branches), 1)
        height, width = guidance.size
        time_ids = torch.tensor([[height, width, 0, 0, height, width]]).expand(len(pooled), -1)
        added = {"text_embeds": pooled.to(device, dtype), "time_ids": time_ids.to(device, dtype)}
        pictures = list(range(len(guidance.reference))) * len(branches)
        return cls(
            branches,
            semantic.to(device, dtype),
            conditions.to(device, dtype),
            added,
            Rows.of(conditions, pictures, device),
        )

    def predict(self, unet: UNet2DConditionModel, noisy: Tensor, timestep: Tensor) -> dict[str, Tensor]:
        """Noisy latents [b, 4, h, w] -> branch -> predicted noise [b, 4, h, w]."""
        rows = noisy.repeat(len(self.branches), 1, 1, 1)
        prediction: Tensor = unet(
            torch.cat([rows.to(self.conditions), self.conditions], dim=1),
            timestep,
            encoder_hidden_states=self.semantic,
            added_cond_kwargs=self.added,
            return_dict=False,
        )[0]
        return dict(zip(self.branches, prediction.chunk(len(self.branches)), strict=True))


def _not_finite(finite: Sequence[Mapping[str, Tensor]], unet: UNet2DConditionModel) -> GoTError:
    """The error for latents that are not finite; `finite` says of each step which branches are."""
    for index, step in enumerate(finite, start=1):
        for branch, is_finite in step.items():
            if not is_finite:
                where = f"in step {index}, in the branch {branch!r},"
                return not_finite(f"What the UNet has predicted {where}", unet)
    return GoTError(
        "The branches of the guidance, multiplied by its scales, are too large for a number: choose "
        "smaller guidance scales."
    )


def _check_channels(unet: UNet2DConditionModel, guidance: Guidance) -> None:
    config = unet.config
    reference, spatial = guidance.reference.shape[1], guidance.spatial.shape[1]
    given = LATENT_CHANNELS + reference + spatial
    if config["in_channels"] != given:
        raise GoTError(
            f"The UNet takes {config['in_channels']} input channels, but the guidance gives {given}: "
            f"{LATENT_CHANNELS} noisy latents + {reference} reference + {spatial} spatial."
        )
    if config["cross_attention_dim"] != guidance.semantic.shape[-1]:
        raise GoTError(
            f"The UNet's cross-attention is {config['cross_attention_dim']} wide, but the guidance "
            f"is {guidance.semantic.shape[-1]}."
        )
    pooled = guidance.pooled.shape[-1]
    embedding = config["projection_class_embeddings_input_dim"]
    time_ids = 6 * config["addition_time_embed_dim"]
    if embedding != pooled + time_ids:
        raise GoTError(
            f"The UNet's added embedding is {embedding} wide, but the guidance gives {pooled + time_ids}: "
            f"{pooled} pooled + {time_ids} time ids."
        )
