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

    The largest weight of an output becomes 127 steps, so no weight is off by more than half a step.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach().float()
        step = weight.abs().amax(dim=1) / 127
        rounded = (weight / step.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round()
        self.weight = nn.Parameter(rounded.to(torch.int8), requires_grad=False)
        self.step = nn.Parameter(step.to(layer.weight.dtype), requires_grad=False)
        self.bias = layer.bias

    def forward(self, values: Tensor) -> Tensor:
        product = functional.linear(values, self.weight.to(values.dtype)) * self.step
        return product if self.bias is None else product + self.bias
