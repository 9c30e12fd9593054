"""Reversible changes to a part's weights, restored to the bit.

An unquantized weight is changed in place, and its original is kept in CPU memory. A quantized weight would
lose the change in rounding: there a forward hook adds it to the layer's output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Change:
    """An addition to one weight: `factor` times a tensor of its shape, or times the product of two factors.

    Args:
        weight: its name in the part.
        tensor: the whole change or, with `up`, LoRA's factor A, [rank, in, *kernel].
        up: LoRA's factor B, [out, rank, ...].
        rows: the rows of the weight that change, one for each of the tensor's; None: all.
    """

    weight: str
    tensor: Tensor
    factor: float
    up: Tensor | None = None
    rows: Sequence[int] | None = None

    def bound(self) -> float:
        """An upper bound of the absolute change of any value."""
        largest = float(self.tensor.abs().max())
        if self.up is not None:
            largest *= float(self.up.abs().max()) * self.tensor.shape[0]
        return abs(self.factor) * largest

    def value(self, like: Tensor) -> Tensor:
        """The change in float32, on `like`'s device and in its shape."""
        tensor = self.tensor.to(like.device, torch.float32)
        if self.up is not None:
            up = self.up.to(like.device, torch.float32)
            tensor = up.flatten(1) @ tensor.flatten(1)  # [out, in times the kernel]
        return self.factor * tensor.view(like.shape)


class ReversiblePatches:
    """Changes to the weights of a part that can be undone.

    If applying them fails, for instance out of memory, the weights are restored.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module: Any = module
        self._before: list[tuple[Change, Tensor]] = []
        self._hooks: list[_OutputHook] = []

    def apply(self, changes: Sequence[Change]) -> None:
        """Add changes, one after the other, to those already applied."""
        try:
            for change in changes:
                if _is_whole(self.module.get_parameter(change.weight)):
                    self._keep(change)
                apply_change(self.module, change, self._hooks.append)
        except BaseException:
            self.restore()
            raise

    @torch.inference_mode()
    def restore(self) -> None:
        """Restore the original weights."""
        for hook in self._hooks:
            hook.remove()
        for change, before in reversed(self._before):
            weight = self.module.get_parameter(change.weight)
            weight[_rows(change)] = before.to(weight.device)
        self._before, self._hooks = [], []

    def _keep(self, change: Change) -> None:
        """Keep a copy of the original weight, or of its rows; once for a whole weight."""
        whole = [kept.weight for kept, _ in self._before if kept.rows is None]
        if change.weight not in whole:
            weight = self.module.get_parameter(change.weight).detach()
            self._before.append((change, weight[_rows(change)].to("cpu", copy=True)))


@torch.inference_mode()
def apply_change(
    module: Any, change: Change, on_hook: Callable[[_OutputHook], None] = lambda hook: None
) -> None:
    """Change a part in place; `on_hook` receives the hooks that add to a layer's output from now on."""
    weight = module.get_parameter(change.weight)
    if not _is_whole(weight):
        on_hook(_OutputHook(module.get_submodule(change.weight.rpartition(".")[0]), change))
        return
    rows = _rows(change)
    before = weight[rows]
    weight[rows] = (before.float() + change.value(before)).to(weight.dtype)


class _OutputHook:
    """Adds a change of a quantized weight, or of its bias, to the layer's output.

    It holds no reference to the layer: the layer holds the hook.
    """

    def __init__(self, layer: nn.Module, change: Change) -> None:
        self.weight = change.weight
        self.factor = change.factor
        self.tensors = [change.tensor] if change.up is None else [change.tensor, change.up]
        self._handle = layer.register_forward_hook(self._add)

    def remove(self) -> None:
        self._handle.remove()

    def _add(self, layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        # Cast to the layer's dtype on the first call, so that the operands are not stored twice.
        self.tensors = [tensor.to(output.device, output.dtype) for tensor in self.tensors]
        if self.weight.endswith(".bias"):
            bias = self.tensors[0]
            return output + self.factor * (bias[:, None, None] if isinstance(layer, nn.Conv2d) else bias)
        states = inputs[0]
        down, *up = self.tensors
        if isinstance(layer, nn.Conv2d):
            states = functional.conv2d(
                states, down, None, layer.stride, layer.padding, layer.dilation, layer.groups
            )
            for tensor in up:
                states = functional.conv2d(states, tensor.flatten(1)[..., None, None])
        else:
            for tensor in self.tensors:
                states = functional.linear(states, tensor.flatten(1))
        return output + self.factor * states


def _is_whole(weight: Tensor) -> bool:
    """Whether a weight is stored in the dtype it is computed in, rather than in 8 bits or fewer."""
    return weight.is_floating_point() and weight.dtype.itemsize > 1


def _rows(change: Change) -> list[int] | slice:
    return slice(None) if change.rows is None else list(change.rows)
