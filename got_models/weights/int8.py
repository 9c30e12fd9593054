"""Int8 weights, and linear layers with them: half the memory of bfloat16 at nearly the same result.

Existing 8-bit libraries do not fit: torchao's tensors cannot be moved in PyTorch's inference mode, in which
ComfyUI moves everything, and part of bitsandbytes' state stays on the card. These are plain tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Int8Linear(nn.Module):
    """A linear layer with int8 weights [out, in] and one quantization step per output, [out]."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        rounded, step = quantize_to_int8(layer.weight.detach())
        self.weight = nn.Parameter(rounded, requires_grad=False)
        self.step = nn.Parameter(step, requires_grad=False)
        self.bias = layer.bias

    def forward(self, values: Tensor) -> Tensor:
        # Not the product times the steps: in float16 the sum before scaling would overflow.
        return functional.linear(values, dequantize(self.weight, self.step), self.bias)


def quantize_to_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight [out, ...] in int8, and the quantization step of each output, [out] in its dtype.

    The largest weight of an output becomes 127 steps.
    """
    step = weight.flatten(1).abs().amax(dim=1) / 127
    step = step.clamp(min=torch.finfo(step.dtype).tiny)
    rounded = (weight.float() / _along(step.float(), weight)).round().clamp(-127, 127)
    return rounded.to(torch.int8), step


def dequantize(rounded: Tensor, step: Tensor) -> Tensor:
    """The inverse of `quantize_to_int8`, up to rounding, in the original dtype."""
    return rounded * _along(step, rounded)


def _along(step: Tensor, weight: Tensor) -> Tensor:
    """The steps [out], reshaped to broadcast over the weight."""
    return step.view(-1, *[1] * (weight.ndim - 1))
