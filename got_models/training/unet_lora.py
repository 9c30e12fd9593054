"""LoRA layers in a UNet, and their factors under an adapter's names."""

from __future__ import annotations

from collections.abc import Iterator

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from ..weights.adapter import LORA_A, LORA_B
from .config import UnetPart

UNET_LAYERS = r".*\.(to_q|to_k|to_v|to_out\.0|net\.0\.proj|net\.2|proj_in|proj_out)"
UNET_CONVOLUTIONS = r"|.*\.(conv1|conv2|conv_shortcut|conv|time_emb_proj)|conv_in|conv_out"
NAME = "default"  # peft's name of the only adapter


def add_unet_lora(unet: nn.Module, part: UnetPart) -> None:
    """Add trainable factors to a UNet's layers, in place."""
    layers = UNET_LAYERS + (UNET_CONVOLUTIONS if part.convolutions else "")
    config = LoraConfig(
        r=part.rank,
        lora_alpha=part.alpha,  # type: ignore[arg-type]  # peft takes any number
        target_modules=layers,
    )
    inject_adapter_in_model(config, unet)


def lora_factors(part: str, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The factors in a part, "mllm" or "unet", under the adapter's names."""
    for name, layer in module.named_modules():
        if isinstance(layer, LoraLayer):
            yield f"{part}.{name}{LORA_A}", layer.lora_A[NAME].get_parameter("weight")
            yield f"{part}.{name}{LORA_B}", layer.lora_B[NAME].get_parameter("weight")
