"""Weights kept in 8 bits, and linear layers with them: half of bfloat16's memory, nearly the same result.

Of the libraries' 8 bits, torchao's cannot be moved in PyTorch's inference mode, in which ComfyUI moves
everything, and part of bitsandbytes' stays behind on the card. These are plain tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Int8Linear(nn.Module):
    """A linear layer with int8 weights [out, in], and for each output the step between two of them, [out]."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        rounded, step = rounded_to_int8(layer.weight.detach())
        self.weight = nn.Parameter(rounded, requires_grad=False)
        self.step = nn.Parameter(step, requires_grad=False)
        self.bias = layer.bias

    def forward(self, values: Tensor) -> Tensor:
        # Not the product times the steps: in float16 a sum of whole steps would overflow.
        return functional.linear(values, unrounded(self.weight, self.step), self.bias)


def rounded_to_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight [out, ...] in int8, and for each output the step between two values, [out] in its type.

    The largest weight of an output becomes 127 steps.
    """
    step = weight.flatten(1).abs().amax(dim=1) / 127
    step = step.clamp(min=torch.finfo(step.dtype).tiny)
    rounded = (weight.float() / _along(step.float(), weight)).round().clamp(-127, 127)
    return rounded.to(torch.int8), step


def unrounded(rounded: Tensor, step: Tensor) -> Tensor:
    """What `rounded_to_int8` has kept of a weight, in the type that it had."""
    return rounded * _along(step, rounded)


def _along(step: Tensor, weight: Tensor) -> Tensor:
    """The steps [out] in as many dimensions as the weight has."""
    return step.view(-1, *[1] * (weight.ndim - 1))
