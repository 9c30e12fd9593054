"""Quantized weights: the UNet in fp8, the MLLM in 8 or 4 bits.

fp8 and 8 bits need only PyTorch, 4 bits need a library that the user installs.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import GoTError

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = {4: "bitsandbytes"}
"""Bits of the MLLM's weights -> the library that implements them, if one is needed."""


def check_library(bits: int) -> None:
    """
    Raises:
        GoTError: the library for this many bits is not installed.
    """
    library = LIBRARIES.get(bits)
    if library is not None and find_spec(library) is None:
        raise GoTError(
            f"A language model in {bits} bits needs {library}, which is not installed. Install it"
            f" (pip install {library}), or choose 8 bits or the full language model."
        )


def quantize_mllm(mllm: nn.Module, bits: int) -> None:
    """Quantize the MLLM's linear layers to `bits`, in place, except for the output layer.

    Raises:
        GoTError: the library for this many bits is not installed, or fails.
    """
    check_library(bits)
    if bits == 8:
        from .int8 import Int8Linear

        _replace(mllm, Int8Linear)
        return
    try:
        _replace(mllm, _to_4_bits)
    except Exception as error:  # the library changes fast and fails in many ways
        reason = " ".join(str(error).split())
        raise GoTError(
            f"{LIBRARIES[bits]} cannot round the language model to {bits} bits: {reason}. Update it, or"
            " choose another language model."
        ) from error


def store_in_fp8(unet: Any) -> None:
    """Store the weights of a diffusers model in fp8; a layer is cast to the model's dtype while it runs."""
    import torch

    unet.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=unet.dtype)
    layers = [layer for layer in unet.modules() if "_diffusers_hook" in vars(layer)]
    weakref.finalize(unet, _forget_casting, layers).atexit = False


def _forget_casting(layers: list[nn.Module]) -> None:
    """Break the reference cycles between diffusers' layers and hooks, which would outlive the model."""
    for layer in layers:
        content: dict[str, Any] = vars(layer)
        for hook in content.pop("_diffusers_hook").hooks.values():
            vars(hook).clear()
        del content["forward"]


def _replace(mllm: nn.Module, smaller: Callable[[nn.Linear], nn.Module]) -> None:
    """Replace every linear layer except the output layer by a smaller one."""
    from torch import nn

    names = [name for name, layer in mllm.named_modules() if isinstance(layer, nn.Linear)]
    for name in names:
        if name != "lm_head":
            parent, _, child = name.rpartition(".")
            layers: Any = mllm.get_submodule(parent)
            setattr(layers, child, smaller(getattr(layers, child)))


def _to_4_bits(layer: nn.Linear) -> nn.Module:
    from bitsandbytes.nn import Linear4bit, Params4bit

    weight = layer.weight.data
    rounded = Linear4bit(
        layer.in_features, layer.out_features, bias=False, compute_dtype=weight.dtype, device="meta"
    )
    rounded.weight = Params4bit(weight, quant_type="nf4", module=rounded)
    rounded.bias = layer.bias
    smaller: nn.Module = rounded.to(weight.device).eval()
    return smaller
