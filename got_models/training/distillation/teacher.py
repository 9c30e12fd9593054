"""The teacher: the checkpoint's own plans for prompts, and how it draws them under the guidance of `fast`.

Everything is computed once, before the training, and cached under digests of all that it depends on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...constants import FAST
from ...dataset.buckets import nearest_bucket
from ...dataset.encoding import Cache, open_unchanged
from ...diffusion.guidance import Guidance, active_branches, combine
from ...diffusion.sampler import BranchBatch, make_scheduler
from ...diffusion.settings import SamplingSettings
from ...diffusion.speed import GUIDED_ABOVE, ONE_BRANCH, guided
from ...errors import Interrupted
from ...mllm.settings import GenerationSettings
from ...pipeline import GoTModel
from ...weights.fingerprints import Fingerprints
from ..config import LoraTraining
from ..schedule import step_seed
from .prompts import PlanRequest, Prompts

TENSORS = tuple(field.name for field in fields(Guidance) if field.name not in ("size", "task"))
WALK = "walk"
"""Names the random stream of the noises."""


class Teacher:
    """A checkpoint that plans and draws the requests of a distillation.

    Args:
        folder: the cache; created if missing.
        fingerprints: of the model's weights.

    Raises:
        GoTError: a size that the model cannot draw, or the cache cannot be written to.
        Interrupted: the fingerprints' `should_stop` returned true.
    """

    def __init__(
        self,
        model: GoTModel,
        config: LoraTraining,
        prompts: Prompts,
        folder: Path,
        fingerprints: Fingerprints,
    ) -> None:
        self.model = model
        self.config = config
        self.requests = prompts.requests
        self.cache = Cache(folder)
        weights = fingerprints.checkpoint(model.path, lambda done, total: None)
        projectors = fingerprints.weights(model.path, "projector")
        self._made_with: list[Any] = [weights, projectors, str(model.parts.dtype), config.resolution_px]
        for request in self.requests:
            model.check_size(self.size(request))

    def size(self, request: PlanRequest) -> tuple[int, int]:
        """The (height, width) in pixels at which a plan is drawn: a source's shape, otherwise a square."""
        if request.source is None:
            return (self.config.resolution_px, self.config.resolution_px)
        return nearest_bucket(request.source.width, request.source.height, self.config.resolution_px)

    def groups(self) -> Iterator[list[PlanRequest]]:
        """The requests in groups of at most `batch_rows`, each of one task and size."""
        kinds: dict[Any, list[PlanRequest]] = {}
        for request in self.requests:
            kinds.setdefault((request.task, self.size(request)), []).append(request)
        most = self.config.batch_rows
        for kind in kinds.values():
            yield from (kind[start : start + most] for start in range(0, len(kind), most))

    def guidance(self, request: PlanRequest, should_stop: Callable[[], bool] = lambda: False) -> Guidance:
        """The guidance of the checkpoint's plan for a request, on the CPU in float32.

        Raises:
            GoTError: a source has changed, or the cache cannot be written to.
            Interrupted: `should_stop` returned true.
        """
        tensors = self.cache.get_all(
            ["plan", *self._made_with, request.origin], TENSORS, lambda: self._encode(request, should_stop)
        )
        return Guidance(**tensors, size=self.size(request), task=request.task)

    def walks(
        self, requests: Sequence[PlanRequest], noise: int, should_stop: Callable[[], bool] = lambda: False
    ) -> Tensor:
        """The latents [b, steps + 1, 4, h, w] that the student is to reach, from noise to picture.

        They are on the CPU in float32, scaled so that the sum of squared signal and noise is 1, as the
        UNet sees them.

        Args:
            requests: of one task and size; they are drawn together.
            noise: which of the plans' noises, counted from 0.

        Raises:
            GoTError, Interrupted: as `guidance`.
        """
        distill = self.config.distill
        origins = [request.origin for request in requests]
        scales = astuple(self.model.default_scales(requests[0].task))
        settings = [self.config.seed, noise, distill.steps, distill.teacher_steps, scales, GUIDED_ABOVE]

        def draw() -> Tensor:
            guidance = joined([self.guidance(request, should_stop) for request in requests])
            noises = [self._noise(request, noise) for request in requests]
            return self._walk(guidance, torch.cat(noises), should_stop)

        return self.cache.get([WALK, *self._made_with, origins, settings], draw)

    def _encode(self, request: PlanRequest, should_stop: Callable[[], bool]) -> dict[str, Tensor]:
        source = self._source(request, should_stop)
        plan = self.model.reason(
            request.prompt, source, settings=GenerationSettings(temperature=0.0), should_stop=should_stop
        )
        guidance = self.model.encode(plan, source, self.size(request))
        return {name: getattr(guidance, name).float() for name in TENSORS}

    def _source(self, request: PlanRequest, should_stop: Callable[[], bool]) -> Image.Image | None:
        """The picture that a request edits: a file, or one that the teacher draws."""
        if request.source is not None:
            return open_unchanged(request.source)
        if request.drawn is None:
            return None
        before = PlanRequest(request.drawn)
        guidance = self.guidance(before, should_stop)
        seed = step_seed(self.config.seed, request.drawn, 0)
        settings = SamplingSettings(seed=seed, steps=self.config.distill.teacher_steps, scheduler="euler")
        return self.model.sample(guidance, settings, should_stop=should_stop)

    def _noise(self, request: PlanRequest, noise: int) -> Tensor:
        """A plan's noise [1, 4, h, w], which depends on neither the file's order nor its other lines."""
        seed = step_seed(self.config.seed, f"{WALK} {request.origin}", noise)
        height, width = (side // 8 for side in self.size(request))
        return torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(seed))

    def _walk(self, guidance: Guidance, latents: Tensor, should_stop: Callable[[], bool]) -> Tensor:
        """Every state that the student is to reach [b, steps + 1, 4, h, w]: Euler's method on the ODE."""
        distill, unet = self.config.distill, self.model.parts.unet(guidance.size)
        schedule = make_scheduler(self.model.scheduler_config, "ddpm")
        own = self.model.default_scales(guidance.task)
        batches = {
            scales: BranchBatch.of(guidance, active_branches(scales), unet.device, unet.dtype)
            for scales in (own, ONE_BRANCH)
        }
        latents = latents.to(unet.device)
        states = [latents]
        most = schedule.config.num_train_timesteps
        times = timesteps(distill.teacher_steps, most)
        kept = signal_shares(schedule.alphas_cumprod, times).to(unet.device)
        for index, timestep in enumerate(times):
            if should_stop():
                raise Interrupted("Drawing for a distillation was interrupted.")
            scales = own if guided(FAST, timestep / most) else ONE_BRANCH
            batch = batches[scales]
            noise = combine(batch.predict(unet, latents, torch.tensor(timestep, device=unet.device)), scales)
            latents = step(latents, noise, kept[index], kept[index + 1])
            if (index + 1) % (distill.teacher_steps // distill.steps) == 0:
                states.append(latents)
        return torch.stack(states, dim=1).float()


def timesteps(steps: int, of: int) -> list[int]:
    """The timesteps at which noise is predicted, from pure noise on: diffusers' "trailing" ones."""
    return [round(of * (steps - index) / steps) - 1 for index in range(steps)]


def signal_shares(alphas_cumprod: Tensor, times: Sequence[int]) -> Tensor:
    """The share of signal in the variance at each timestep [steps + 1]; at the end, 1."""
    return torch.cat([alphas_cumprod[list(times)], torch.ones(1)])


def step(latents: Tensor, noise: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Latents after a step of Euler's method, which is DDIM's, given the predicted noise.

    Args:
        before, after: the share of signal in the variance, broadcast to the latents.
    """
    clean = (latents - (1 - before).sqrt() * noise) / before.sqrt()
    return after.sqrt() * clean + (1 - after).sqrt() * noise


def joined(guidances: Sequence[Guidance]) -> Guidance:
    """Guidance of one task and size, as one batch."""
    first = guidances[0]
    tensors = {name: torch.cat([getattr(one, name) for one in guidances]) for name in TENSORS}
    return Guidance(**tensors, size=first.size, task=first.task)
