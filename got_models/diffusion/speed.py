"""Speed as one choice: how many steps, with which scheduler and how many branches.

exact     as published: ddpm, the checkpoint's number of steps, all branches
fast      8 steps of euler, all branches; the full one alone in the last two
fastest   4 steps of euler, one branch, by a distilled adapter
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..constants import EXACT, FAST, FASTEST
from ..errors import GoTError
from .settings import GuidanceScales, SamplingSettings

SCHEDULER = {EXACT: "ddpm", FAST: "euler", FASTEST: "euler"}
FAST_STEPS = 8
FEWEST_STEPS = {EXACT: 20, FAST: 4}
"""With fewer, pictures keep noise or lose objects."""
ONE_BRANCH = GuidanceScales(1.0, 1.0, 1.0)
"""The scales under which the full branch is all there is."""
GUIDED_ABOVE = 0.2
"""In `fast`, the share of the training timesteps below which the full branch is alone.

When little noise is left, the difference of the branches hardly says what to draw any more, but disturbs what
is to stay: an edit keeps its source better without (Kynkäänniemi et al., "Applying Guidance in a Limited
Interval", arXiv 2404.07724).
"""


@dataclass(frozen=True)
class Distilled:
    """A UNet that draws in `steps` of one branch what it would draw under all branches at `scales`.

    Attributes:
        steps: of Euler's method, at diffusers' "trailing" timesteps.
        scales: by task.
        unet: the digest of the weights that it was distilled from.
    """

    steps: int
    scales: Mapping[str, GuidanceScales]
    unet: str


@dataclass(frozen=True)
class Defaults:
    """A checkpoint's own settings for a task."""

    scales: GuidanceScales
    steps: int
    speed: str


def resolved(
    settings: SamplingSettings, task: str, own: Defaults, distilled: Distilled | None
) -> SamplingSettings:
    """Settings with scales, steps and scheduler, from what was given and what was not.

    Without a speed, steps or a scheduler that are given count by themselves; with neither, it is the
    checkpoint's speed, or `fastest` if its UNet is distilled. Scales stay those that a distilled UNet has
    learned. Resolving twice changes nothing.

    Args:
        distilled: what the UNet is distilled for; None: it is not.

    Raises:
        GoTError: settings that contradict each other, or the adapter.
    """
    scales = settings.scales or own.scales
    speed = settings.speed or (FASTEST if distilled else None)
    if speed is None and (settings.steps or settings.scheduler):
        scheduler = settings.scheduler or SCHEDULER[own.speed]
        return replace(settings, scales=scales, steps=settings.steps or own.steps, scheduler=scheduler)
    speed = speed or own.speed
    if settings.scheduler not in (None, SCHEDULER[speed]):
        raise GoTError(
            f"The speed {speed!r} draws with {SCHEDULER[speed]}, but the scheduler is set to "
            f"{settings.scheduler}. Leave the scheduler to the speed, or the speed to the scheduler: auto."
        )
    if speed == FASTEST:
        steps = _fastest_steps(settings, task, scales, distilled)
    elif distilled:
        raise GoTError(
            f"The speed {speed!r} evaluates all branches, but the adapter is distilled to draw with one. "
            f"Choose {FASTEST!r}, or take the adapter out."
        )
    else:
        usual = own.steps if speed == EXACT else FAST_STEPS
        steps = settings.steps or usual
        if steps < min(usual, FEWEST_STEPS[speed]):
            raise GoTError(
                f"The speed {speed!r} needs at least {FEWEST_STEPS[speed]} steps, got {steps}. Leave the "
                "steps to the speed."
            )
    return replace(settings, scales=scales, steps=steps, scheduler=SCHEDULER[speed], speed=speed)


def evaluated_scales(settings: SamplingSettings, noise: float) -> GuidanceScales | None:
    """The scales at which the UNet's branches are summed: a distilled UNet contains its own.

    Args:
        noise: the timestep, as a share of the training timesteps.
    """
    return settings.scales if guided(settings.speed, noise) else ONE_BRANCH


def guided(speed: str | None, noise: float) -> bool:
    """Whether a speed sums branches at a timestep, a share of the training timesteps."""
    return speed != FASTEST and (speed != FAST or noise >= GUIDED_ABOVE)


def schedule_config(config: Mapping[str, object], settings: SamplingSettings) -> dict[str, object]:
    """The checkpoint's noise schedule; a distilled UNet has learned to begin with pure noise."""
    return {**config, "timestep_spacing": "trailing"} if settings.speed == FASTEST else dict(config)


def _fastest_steps(
    settings: SamplingSettings, task: str, scales: GuidanceScales, distilled: Distilled | None
) -> int:
    """
    Raises:
        GoTError: nothing is distilled, or it is for other steps or scales.
    """
    if distilled is None:
        raise GoTError(
            f"The speed {FASTEST!r} needs an adapter distilled from this checkpoint, and there is none. "
            "Choose 'fast', or make one with `train` and objective: distill."
        )
    if settings.steps not in (None, distilled.steps):
        raise GoTError(
            f"The adapter is distilled for {distilled.steps} steps, got {settings.steps}. Leave the steps to "
            "the speed."
        )
    if scales != distilled.scales[task]:
        learned = distilled.scales[task]
        raise GoTError(
            f"The adapter is distilled for the scales semantic {learned.semantic:g}, spatial "
            f"{learned.spatial:g} and reference {learned.reference:g}; got {scales.semantic:g}, "
            f"{scales.spatial:g} and {scales.reference:g}. Leave the scales to the checkpoint, or choose "
            "'fast' without the adapter."
        )
    return distilled.steps
