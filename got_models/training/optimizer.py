"""The optimizer of a LoRA training: AdamW with 32-bit states or, using bitsandbytes, 8-bit states."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from ..errors import GoTError
from .config import LoraTraining


def check_optimizer(config: LoraTraining) -> None:
    """
    Raises:
        GoTError: the optimizer's library is not installed.
    """
    if config.optimizer == "adamw-8bit" and find_spec("bitsandbytes") is None:
        raise GoTError(
            "The optimizer 'adamw-8bit' needs bitsandbytes, which is not installed. Install it (pip install "
            "bitsandbytes), or set optimizer: adamw."
        )


def make_optimizer(config: LoraTraining, parameter_groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """The config's optimizer; each parameter group has its own learning rate."""
    check_optimizer(config)
    if config.optimizer == "adamw-8bit":
        from bitsandbytes.optim import AdamW8bit as AdamW
    else:
        from torch.optim import AdamW
    optimizer: torch.optim.Optimizer = AdamW(
        parameter_groups,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        weight_decay=config.weight_decay,
    )
    return optimizer
