"""The adapter to ComfyUI: registration, devices, memory, progress, previews, interruption; `_folders.py` has
the folders.

Without ComfyUI every function still works: on the CPU, silently.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..got_models.errors import printable
from ._png import prepare

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

MODEL_FOLDER = "got"
TRAINING_ROUTE = "/got/training/{name}"
SETTINGS_ROUTE = "/got/own_settings"
CHECK_ROUTE = "/got/plan_check"
TEXT_EVENT = "got_text"


def inside_comfyui() -> bool:
    """Whether this process is a ComfyUI server: that has these loaded before any node pack."""
    return "comfy.model_management" in sys.modules and "server" in sys.modules


def register() -> bool:
    """Make `models/got` a model folder of ComfyUI's, and let saved pictures carry their chain.

    Where another copy of this pack has done so before, False and a warning: ComfyUI would not start with two.
    """
    if not inside_comfyui():
        return True
    import folder_paths
    from server import PromptServer

    from ._answers import answer_check, answer_settings
    from ._runs import answer_page

    routes = PromptServer.instance.routes
    here = Path(__file__).parents[1]
    for route in routes:
        if getattr(route, "path", None) == TRAINING_ROUTE:
            other = Path(route.handler.__code__.co_filename).parents[1]
            if other != here:
                logging.warning(
                    "ComfyUI-GoT is installed twice, in %s and in %s. The first is used: remove one.",
                    other,
                    here,
                )
            return other == here
    folder_paths.add_model_folder_path(MODEL_FOLDER, os.path.join(folder_paths.models_dir, MODEL_FOLDER))
    PromptServer.instance.add_on_prompt_handler(lambda request: prepare(request, running_node))
    routes.get(TRAINING_ROUTE)(answer_page)
    routes.get(SETTINGS_ROUTE)(answer_settings)
    routes.post(CHECK_ROUTE)(answer_check)
    return True


# Devices and memory


def choose_dtype(name: str) -> torch.dtype:
    """One of DTYPES as a torch type; `auto` is the smallest one that the device computes well with."""
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
    """Where results wait on the wires between nodes."""
    import torch

    if not inside_comfyui():
        return torch.device("cpu")
    import comfy.model_management as management

    device: torch.device = management.intermediate_device()
    return device


def managed(module: nn.Module, part: str) -> Any:
    """A part ("language", "unet" or "vae") under ComfyUI's memory management: a ModelPatcher, else None."""
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
    # In a list, because ModelPatcher sets `device` on the module, which the libraries' own classes forbid.
    return ModelPatcher(nn.ModuleList([module]), device, rest, size=size)


def bytes_of(module: nn.Module) -> int:
    """What a module's weights take: one that two layers share counts once, where ComfyUI counts it twice."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def bring(patcher: Any, working_memory: int) -> None:
    """Bring a part to its device whole, with room for `working_memory` bytes; other models may have to go."""
    if patcher is None:
        return
    import comfy.model_management as management

    stop_if_interrupted()
    management.load_models_gpu([patcher], memory_required=working_memory, force_full_load=True)
    if patcher.loaded_size() == 0:
        # With --novram ComfyUI leaves weights in the CPU's memory, where only its own layers can use them.
        patcher.partially_load(patcher.load_device, extra_memory=patcher.model_size() + 1)


def free_memory(device: torch.device) -> float:
    """Bytes that are free on a device; without ComfyUI, which knows them, no limit."""
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
    """The device without ComfyUI's models, and gradients; the server's random numbers stay as they are.

    ComfyUI runs its nodes in inference mode, whose tensors no gradient passes through.
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


# What the user sees, and the way to stop


def running_node() -> str | None:
    """The name of the node that ComfyUI runs in this thread."""
    from comfy_execution.utils import get_executing_context

    context = get_executing_context()
    return None if context is None else str(context.node_id)


def stop_if_interrupted() -> bool:
    """Raises ComfyUI's own exception if the user pressed stop; else False, to serve as a `should_stop`."""
    if inside_comfyui():
        import comfy.model_management as management

        management.throw_exception_if_processing_interrupted()
    return False


def interrupted() -> bool:
    """Whether the user has pressed stop, for work that has to be saved first; then `stop_if_interrupted`."""
    if not inside_comfyui():
        return False
    import comfy.model_management as management

    return bool(management.processing_interrupted())


def send(event: str, data: dict[str, Any]) -> None:
    """Tell the page that has queued what runs now, and say which prompt this is; a script's has no page.

    Texts of `data` may come from outside: what cannot be encoded leaves as escapes.
    """
    if not inside_comfyui():
        return
    from server import PromptServer

    server = PromptServer.instance
    if server.client_id is not None:
        message = {**data, "prompt_id": server.last_prompt_id}
        server.send_sync(event, encodable(message), server.client_id)


def encodable(value: Any) -> Any:
    """The value with all its texts `printable`, in lists and dictionaries too."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {encodable(key): encodable(entry) for key, entry in value.items()}
    return [encodable(entry) for entry in value] if isinstance(value, list | tuple) else value


def show_text(text: str, node_id: str | None) -> None:
    """Show text on a node while it works.

    Not by ComfyUI's `send_progress_text`: its text is HTML in some frontends, and goes to every page.
    """
    if node_id is not None:
        send(TEXT_EVENT, {"node": node_id, "text": text})


def progress_bar(total: int) -> Callable[[int, Any], None]:
    """The progress bar of the node at work: a function of how much of `total` is done, and of a preview."""
    if not inside_comfyui():
        return lambda done, preview: None
    import comfy.utils

    bar = comfy.utils.ProgressBar(total)
    return lambda done, preview: bar.update_absolute(done, total, preview)


def patient_progress_bar(total: int) -> Callable[[int], None]:
    """The same for work that has to be saved before it stops: ComfyUI's bar would stop it on the spot."""
    update = progress_bar(total)
    if not inside_comfyui():
        return lambda done: None
    import comfy.model_management as management

    def show(done: int) -> None:
        try:
            update(done, None)
        except management.InterruptProcessingException:
            management.interrupt_current_processing()  # for whoever asks `interrupted`

    return show


def latent_previews(encode: Callable[[Tensor], Tensor], scaling_factor: float) -> Callable[[Tensor], Any]:
    """A function from scaled latents [b, 4, h, w] to what `progress_bar` shows; None if previews are off.

    Args:
        encode: IMAGE -> scaled latents on the CPU, asked for the colours of a VAE that is not SDXL's.
        scaling_factor: the VAE's; by it ComfyUI's SDXL is told from other VAEs.
    """
    if not inside_comfyui():
        return lambda latents: None
    import comfy.latent_formats
    import comfy.model_management as management
    import latent_preview

    from ._images import fit_preview_colors

    latent_format = comfy.latent_formats.SDXL()
    previewer = latent_preview.get_previewer(management.get_torch_device(), latent_format)
    if previewer is None:
        return lambda latents: None
    if latent_format.scale_factor != scaling_factor:
        latent_format.latent_rgb_factors, latent_format.latent_rgb_factors_bias = fit_preview_colors(encode)
        latent_format.taesd_decoder_name = None
        previewer = latent_preview.get_previewer(management.get_torch_device(), latent_format)
    device = management.get_torch_device()
    return lambda latents: previewer.decode_latent_to_preview_image("JPEG", latents.to(device))
