"""Linear layers whose weights are kept in 8 bits: half of what bfloat16 takes, and nearly the same result.

Of the libraries' 8 bits, torchao's cannot be moved in PyTorch's inference mode, in which ComfyUI moves
everything, and part of bitsandbytes' stays behind on the card. These are plain tensors.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Int8Linear(nn.Module):
    """A linear layer with int8 weights [out, in], and for each output the step between two of them, [out].

    The largest weight of an output becomes 127 steps.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()
        step = weight.abs().amax(dim=1) / 127
        step = step.clamp(min=torch.finfo(step.dtype).tiny)
        rounded = (weight.float() / step.float()[:, None]).round().clamp(-127, 127)
        self.weight = nn.Parameter(rounded.to(torch.int8), requires_grad=False)
        self.step = nn.Parameter(step, requires_grad=False)
        self.bias = layer.bias

    def forward(self, values: Tensor) -> Tensor:
        # Not the product times the steps: in float16 a sum of whole steps would overflow.
        return functional.linear(values, self.weight * self.step[:, None], self.bias)
