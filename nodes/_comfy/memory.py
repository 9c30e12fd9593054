"""Devices and memory as managed by ComfyUI; without ComfyUI the CPU."""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import inside_comfyui
from .feedback import stop_if_interrupted

if TYPE_CHECKING:
    import torch
    from torch import nn

# Devices and memory


def choose_dtype(name: str) -> torch.dtype:
    """One of DTYPES as a torch dtype; `auto` is the smallest one that the device supports well."""
    import torch

    if name != "auto":
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    if inside_comfyui():
        import comfy.model_management as management

        device = management.get_torch_device()
        if management.should_use_bf16(device):
            return torch.bfloat16
        if management.should_use_fp16(device):
            return torch.float16
    return torch.float32


def result_device() -> torch.device:
    """The device of results passed between nodes."""
    import torch

    if not inside_comfyui():
        return torch.device("cpu")
    import comfy.model_management as management

    device: torch.device = management.intermediate_device()
    return device


def managed(module: nn.Module, part: str) -> Any:
    """A part ("language", "unet" or "vae") as a ModelPatcher, managed by ComfyUI; otherwise None."""
    if not inside_comfyui():
        return None
    import comfy.model_management as management
    from comfy.model_patcher import ModelPatcher
    from torch import nn

    choose_device, choose_rest = {
        "language": (management.text_encoder_device, management.text_encoder_offload_device),
        "unet": (management.get_torch_device, management.unet_offload_device),
        "vae": (management.vae_device, management.vae_offload_device),
    }[part]
    device, rest, size = choose_device(), choose_rest(), bytes_of(module)
    if (
        part == "language"
        and size * 1.1 + management.minimum_inference_memory() > management.get_total_memory(device)
    ):
        logging.warning(
            "GoT's language model takes %.1f GB, which this card cannot hold: it works on the CPU. "
            "With fewer bits (language_model of GoT Model Loader) it may fit.",
            size / 1e9,
        )
        device = rest
    # In a list, because ModelPatcher sets `device` on the module, which the libraries' classes do not allow.
    return ModelPatcher(nn.ModuleList([module]), device, rest, size=size)


def bytes_of(module: nn.Module) -> int:
    """The size of a module's weights; shared ones are counted once, where ComfyUI counts them twice."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def load_to_device(patcher: Any, working_memory: int) -> None:
    """Load a part onto its device whole, with space for `working_memory` bytes; may offload others."""
    if patcher is None:
        return
    import comfy.model_management as management

    stop_if_interrupted()
    management.load_models_gpu([patcher], memory_required=working_memory, force_full_load=True)
    if patcher.loaded_size() == 0:
        # With --novram ComfyUI leaves weights in CPU memory, where only its own layers can use them.
        patcher.partially_load(patcher.load_device, extra_memory=patcher.model_size() + 1)


def free_memory(device: torch.device) -> float:
    """Free bytes on a device; infinite without ComfyUI, which tracks them."""
    if not inside_comfyui():
        return math.inf
    import comfy.model_management as management

    free: float = management.get_free_memory(device)
    return free


def on_cpu() -> bool:
    """Whether ComfyUI computes on the CPU."""
    if not inside_comfyui():
        return True
    import comfy.model_management as management

    return bool(management.get_torch_device().type == "cpu")


@contextmanager
def room_for_training() -> Iterator[None]:
    """A context with ComfyUI's models offloaded and gradients enabled; preserves the server's random state.

    ComfyUI runs its nodes in inference mode, whose tensors do not support gradients.
    """
    import torch

    if inside_comfyui():
        import comfy.model_management as management

        management.unload_all_models()
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng():
            yield
    finally:
        gc.collect()
        if inside_comfyui():
            management.soft_empty_cache()
