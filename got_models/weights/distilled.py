"""What a distilled adapter says about itself: how it draws, and the checkpoint and scales it was made for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..diffusion.settings import GuidanceScales
from ..diffusion.speed import Distilled
from ..errors import GoTError, short_repr
from .adapter import Adapter
from .adapter_files import load_adapter
from .fingerprints import sampled_digest

KEY = "distilled"
"""The entry of an adapter's information."""
TASKS = ("generate", "edit")
MAX_STEPS = 1000
OWN_FILE = "fastest.safetensors"
"""A checkpoint's own distilled adapter, in its folder; most have none."""


def distilled_of(adapter: Adapter) -> Distilled | None:
    """What an adapter is distilled for; None if it is not distilled.

    Raises:
        GoTError: its information about that is damaged.
    """
    if KEY not in adapter.information:
        return None
    values = adapter.information[KEY]
    try:
        steps, unet, scales = values["steps"], values["unet"], values["scales"]
        if type(steps) is not int or not 1 <= steps <= MAX_STEPS or not isinstance(unet, str):
            raise ValueError(values)
        return Distilled(steps, {task: GuidanceScales(**scales[task]) for task in TASKS}, unet)
    except (KeyError, TypeError, ValueError) as error:
        raise GoTError(
            f"The adapter does not say in a form that can be read how it was distilled: {short_repr(values)}."
            " Copy it again, or train again."
        ) from error


def distilled_information(distilled: Distilled) -> dict[str, Any]:
    """What `distilled_of` reads, for an adapter's information."""
    scales = {task: asdict(distilled.scales[task]) for task in TASKS}
    return {KEY: {"steps": distilled.steps, "scales": scales, "unet": distilled.unet}}


def own_distilled_adapter(checkpoint: Path) -> Adapter | None:
    """The distilled adapter in a checkpoint's folder, or None; errors as `load_adapter`."""
    file = checkpoint / OWN_FILE
    return load_adapter(file) if file.exists() else None


def check_distilled(distilled: Distilled, checkpoint: Path) -> None:
    """
    Raises:
        GoTError: it was distilled from another checkpoint.
    """
    if sampled_digest(checkpoint / "unet") != distilled.unet:
        raise GoTError(
            f"The adapter was distilled from another checkpoint than {checkpoint.name}, with which it would "
            "draw something else. Use the checkpoint that it was made from, or distil this one."
        )
