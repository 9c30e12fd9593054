"""The widgets by which the nodes that draw choose steps, scheduler and speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..got_models.constants import SCHEDULERS, SPEEDS

if TYPE_CHECKING:
    from ..got_models.diffusion.settings import GuidanceScales, SamplingSettings

AUTO = "auto"
"""A choice that is left to the other settings and the checkpoint."""
MAX_STEPS = 1000


def steps_widget(what: str, advanced: bool = False) -> dict[str, Any]:
    """The number of denoising steps; `what` begins the tooltip."""
    own = "0: as many as the speed takes; with a scheduler alone, the checkpoint's own for the task."
    options = {"default": 0, "min": 0, "max": MAX_STEPS, "tooltip": f"{what} {own}"}
    return {"steps": ("INT", options | ({"advanced": True} if advanced else {}))}


def scheduler_widget(default: str = AUTO, advanced: bool = False) -> dict[str, Any]:
    """How noise is removed."""
    options = {
        "default": default,
        "tooltip": "How noise is removed. auto: as the speed says. ddpm is what GoT was trained with and "
        "needs about 50 steps; euler, dpm++2m and unipc need only 8 to 30.",
    }
    return {"scheduler": ([*SCHEDULERS, AUTO], options | ({"advanced": True} if advanced else {}))}


def speed_widget() -> dict[str, Any]:
    """Speed as one choice."""
    tooltip = (
        "exact: as published, 50 steps of ddpm. fast: 8 steps of euler. fastest: 4 steps of one branch, with "
        "an adapter distilled from this checkpoint. auto: by steps and scheduler if one of them is set, "
        "otherwise at the checkpoint's own speed."
    )
    return {"speed": ([AUTO, *SPEEDS], {"default": AUTO, "tooltip": tooltip})}


def sampling_settings(
    scales: GuidanceScales | None, seed: int, steps: int, scheduler: str, speed: str
) -> SamplingSettings:
    """The settings that the widgets show."""
    from ..got_models.diffusion.settings import SamplingSettings

    return SamplingSettings(
        scales,
        seed,
        steps or None,
        None if scheduler == AUTO else scheduler,
        None if speed == AUTO else speed,
    )
