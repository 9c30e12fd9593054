"""Frozen weights kept in 8 bits, half of what bfloat16 takes: in full only while their layer works."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from ..weights.int8 import rounded_to_int8, unrounded


class KeptInInt8(nn.Module):
    """Rounds a weight [out, ...] to int8 with one step for each output, and gives it in the type it had.

    fp8, which has no step of its own, takes as much memory and is four times as far from the weights.
    """

    def forward(self, kept: Tensor, step: Tensor) -> Tensor:
        return unrounded(kept, step)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return rounded_to_int8(weight)


def keep_in_int8(module: nn.Module) -> None:
    """Keep the weights of all linear and convolution layers in int8, in place; they can no longer be trained.

    Backward needs a layer's weight in full again: with gradient checkpointing, one block's at a time.
    """
    for layer in [layer for layer in module.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]:
        layer.requires_grad_(False)
        register_parametrization(layer, "weight", KeptInInt8(), unsafe=True)
