"""Frozen weights kept in fp8, half of what bfloat16 takes: a layer has them in full only while it works."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization


class KeptInFp8(nn.Module):
    """Rounds a weight to float8_e4m3fn, and gives it in the type that it had.

    It is kept as bytes, because not everything that carries weights between processes knows the type.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, kept: Tensor) -> Tensor:
        return kept.view(torch.float8_e4m3fn).to(self.dtype)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor]:  # a single tensor may not change its type
        return (weight.to(torch.float8_e4m3fn).view(torch.uint8),)


def keep_in_fp8(module: nn.Module) -> None:
    """Keep the weights of all linear and convolution layers in fp8, in place; they can no longer be trained.

    Backward needs a layer's weight in full again: with gradient checkpointing, one block's at a time.
    """
    for layer in [layer for layer in module.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))]:
        layer.requires_grad_(False)
        register_parametrization(layer, "weight", KeptInFp8(layer.weight.dtype), unsafe=True)
