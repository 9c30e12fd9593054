"""Frozen weights stored in int8, half the size of bfloat16, and expanded only while their layer runs."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from ..weights.int8 import dequantize, quantize_to_int8


class Int8Storage(nn.Module):
    """Stores a weight [out, ...] in int8 with one quantization step per output; used in its dtype.

    fp8, without a step per output, takes as much memory and has four times the error.
    """

    def forward(self, kept: Tensor, step: Tensor) -> Tensor:
        return dequantize(kept, step)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return quantize_to_int8(weight)


def store_in_int8(module: nn.Module) -> None:
    """Store the weights of all linear and convolution layers in int8, in place and frozen for good.

    The backward pass expands each layer's weight again: with gradient checkpointing, one block's at a time.
    """
    for layer in [layer for layer in module.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]:
        layer.requires_grad_(False)
        register_parametrization(layer, "weight", Int8Storage(), unsafe=True)
