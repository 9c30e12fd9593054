"""Weights in fewer bits than they are computed with: the UNet in fp8, the MLLM in 8 or 4 bits.

fp8 needs nothing but PyTorch. The MLLM needs a library of the user's: bitsandbytes for 4 bits, torchao for 8.
torchao's 4 bits cannot move between CPU and GPU, and what bitsandbytes keeps of 8 bits stays behind on the
card when ComfyUI takes a module off it.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from .errors import GoTError

if TYPE_CHECKING:
    from torch import nn

LIBRARIES = {8: "torchao", 4: "bitsandbytes"}
"""Bits of the MLLM's weights -> the library that stores and multiplies them."""


def check_library(bits: int) -> None:
    """
    Raises:
        GoTError: the library for so many bits is not installed.
    """
    library = LIBRARIES[bits]
    if find_spec(library) is None:
        raise GoTError(
            f"A language model in {bits} bits needs {library}, which is not installed. Install it"
            f" (pip install {library}), or choose the full language model."
        )


def quantize_mllm(mllm: nn.Module, bits: int) -> None:
    """Round the MLLM's linear layers to `bits`, in place; the output layer stays as it is.

    Raises:
        GoTError: the library for so many bits is not installed, or fails.
    """
    check_library(bits)
    try:
        (_to_8_bits if bits == 8 else _to_4_bits)(mllm)
    except Exception as error:  # these libraries change fast and fail in many ways
        reason = " ".join(str(error).split())
        raise GoTError(
            f"{LIBRARIES[bits]} cannot round the language model to {bits} bits: {reason}. Update it, or"
            " choose the full language model."
        ) from error


def store_in_fp8(unet: Any) -> None:
    """Keep the weights of a diffusers model in fp8; a layer takes the model's dtype while it works."""
    import torch

    unet.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=unet.dtype)


def _linear_layers(mllm: nn.Module) -> dict[str, nn.Linear]:
    from torch import nn

    return {
        name: layer
        for name, layer in mllm.named_modules()
        if isinstance(layer, nn.Linear) and name != "lm_head"
    }


def _to_8_bits(mllm: nn.Module) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    layers = set(_linear_layers(mllm))
    config = Int8WeightOnlyConfig(set_inductor_config=False)  # those settings are for the whole process
    quantize_(mllm, config, filter_fn=lambda module, name: name in layers)


def _to_4_bits(mllm: nn.Module) -> None:
    from bitsandbytes.nn import Linear4bit, Params4bit

    for name, layer in _linear_layers(mllm).items():
        weight = layer.weight.data
        rounded = Linear4bit(
            layer.in_features, layer.out_features, bias=False, compute_dtype=weight.dtype, device="meta"
        )
        rounded.weight = Params4bit(weight, quant_type="nf4", module=rounded)
        rounded.bias = layer.bias
        parent, _, child = name.rpartition(".")
        setattr(mllm.get_submodule(parent), child, rounded.to(weight.device).eval())
