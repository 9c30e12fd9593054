"""The adapter to ComfyUI: folders, devices, memory, progress, previews, interruption.

Without ComfyUI every function still works: on the CPU, silently, with `models/got` and `input` in the working
directory as folders.
"""

from __future__ import annotations

import gc
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..got_models.commands.options import BUNDLED_CHECKPOINT
from ..got_models.errors import GoTError
from ..got_models.importing.folders import UNFINISHED, needs_import
from ._png import restore_chains

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

MODEL_FOLDER = "got"
BUNDLED_NAME = "tiny (bundled)"
BUNDLED_DATASETS = {
    "brown crosses (bundled)": Path(__file__).resolve().parents[1] / "lessons" / "brown_crosses"
}
NEEDS_IMPORT = " (needs import)"
FOLDER_NAME = re.compile(r"\w[\w .+-]*(?<![. ])")
DTYPES = ["auto", "float32", "bfloat16", "float16"]


def inside_comfyui() -> bool:
    """Whether this process is a ComfyUI server: that has these loaded before any node pack."""
    return "comfy.model_management" in sys.modules and "server" in sys.modules


def register() -> None:
    """Make `models/got` a model folder of ComfyUI's, and let saved pictures carry their chain."""
    if not inside_comfyui():
        return
    import folder_paths
    from server import PromptServer

    from ._runs import answer_page

    folder_paths.add_model_folder_path(MODEL_FOLDER, os.path.join(folder_paths.models_dir, MODEL_FOLDER))
    PromptServer.instance.add_on_prompt_handler(restore_chains)
    PromptServer.instance.routes.get("/got/training/{name}")(answer_page)


# Folders


def checkpoint_names() -> list[str]:
    """The bundled checkpoint, then every folder under the `got` model folders; one to be imported says so."""
    folders = _checkpoint_folders()
    return [BUNDLED_NAME, *sorted(name + NEEDS_IMPORT * needs_import(folders[name]) for name in folders)]


def checkpoint_folder(name: str) -> Path:
    """The folder of a checkpoint by the name that `checkpoint_names` lists.

    Raises:
        GoTError: no such name (a path, such as `../other`, never is one), or it has to be imported first.
    """
    folders = {BUNDLED_NAME: BUNDLED_CHECKPOINT, **_checkpoint_folders()}
    plain = name.removesuffix(NEEDS_IMPORT)
    if plain not in folders:
        raise GoTError(
            f"There is no GoT checkpoint {name!r}. Put its folder, the one that holds got.json, into "
            f"{' or '.join(_model_folders())}, then refresh the page. There now: {', '.join(folders)}."
        )
    if plain.endswith(UNFINISHED):
        raise GoTError(
            f"{plain!r} is an import that has not ended. Run GoT Import Checkpoint again with the same "
            "inputs: it goes on where it stopped."
        )
    if needs_import(folders[plain]):
        raise GoTError(
            f"{plain!r} holds weights as they were published, and has to be imported first. Run GoT Import "
            f"Checkpoint with {plain!r} as its source, refresh the page, and choose the checkpoint that it "
            "has made."
        )
    return folders[plain]


def new_checkpoint_folder(name: str) -> Path:
    """Where a checkpoint of this name is made: in the first of the `got` model folders.

    Raises:
        GoTError: it is no name for a folder.
    """
    if not FOLDER_NAME.fullmatch(name) or name.endswith((UNFINISHED, ".lock")):
        raise GoTError(
            f"{name!r} cannot be the name of a folder in models/got. Use letters, digits, spaces and "
            f". + - _, a letter or digit first, and no dot, space or {UNFINISHED!r} at the end."
        )
    return Path(_model_folders()[0], name)


def published_folder(text: str) -> Path:
    """The folder that a user means by its name in a `got` model folder, or by a full path.

    Raises:
        GoTError: nothing was named.
    """
    if not text.strip():
        raise GoTError(
            "The source is empty. Name the folder that holds GoT-6B: in models/got, or a full path."
        )
    places = [Path(folder, Path(text.strip()).expanduser()) for folder in _model_folders()]
    return next((place for place in places if place.is_dir()), places[0])


def input_files(suffix: str) -> list[str]:
    """The names of all files with this suffix (`.png`) in ComfyUI's input folder."""
    folder = _input_folder()
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name for name in names if name.lower().endswith(suffix))


def input_file(name: str) -> Path:
    """A file of ComfyUI's input folder, or of a folder in it; `name [output]` is one of the output folder.

    Raises:
        GoTError: it is missing or lies elsewhere.
    """
    plain, folder = name, _input_folder()
    if inside_comfyui():
        import folder_paths

        plain, noted = folder_paths.annotated_filepath(name)
        folder = os.path.abspath(noted or folder)
    path = os.path.abspath(os.path.join(folder, plain.strip()))
    if not path.startswith(folder + os.sep) or not os.path.isfile(path):
        raise GoTError(f"There is no file {name!r} in ComfyUI's input folder. Upload it again.")
    return Path(path)


def dataset_folder(text: str) -> Path:
    """The folder with pictures that a user means: by its name in ComfyUI's input folder, or by a full path.

    The datasets of this pack go by the names in BUNDLED_DATASETS.

    Raises:
        GoTError: nothing was named.
    """
    if text.strip() in BUNDLED_DATASETS:
        return BUNDLED_DATASETS[text.strip()]
    if not text.strip():
        raise GoTError(
            "The folder is empty. Name the one that holds data.jsonl: in ComfyUI's input folder, or a full "
            "path."
        )
    return Path(_input_folder(), Path(text.strip()).expanduser())


def lora_folders() -> list[Path]:
    """ComfyUI's folders for LoRA files."""
    if not inside_comfyui():
        return [Path("models", "loras").resolve()]
    import folder_paths

    return [Path(folder) for folder in folder_paths.get_folder_paths("loras")]


def output_folder() -> Path:
    """ComfyUI's folder for results."""
    if not inside_comfyui():
        return Path("output").resolve()
    import folder_paths

    return Path(folder_paths.get_output_directory()).resolve()


def _model_folders() -> list[str]:
    if not inside_comfyui():
        return [os.path.abspath(os.path.join("models", MODEL_FOLDER))]
    import folder_paths

    folders: list[str] = folder_paths.get_folder_paths(MODEL_FOLDER)
    return folders


def _checkpoint_folders() -> dict[str, Path]:
    """Name -> folder, hidden ones aside; where two model folders hold the same name, the first one counts."""
    found: dict[str, Path] = {}
    for folder in _model_folders():
        if os.path.isdir(folder):
            for entry in Path(folder).iterdir():
                if entry.is_dir() and not entry.name.startswith("."):
                    found.setdefault(entry.name, entry)
    return found


def _input_folder() -> str:
    if not inside_comfyui():
        return os.path.abspath("input")
    import folder_paths

    return os.path.abspath(folder_paths.get_input_directory())


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

    device, rest = {
        "language": (management.text_encoder_device, management.text_encoder_offload_device),
        "unet": (management.get_torch_device, management.unet_offload_device),
        "vae": (management.vae_device, management.vae_offload_device),
    }[part]
    # In a list, because ModelPatcher sets `device` on the module, which the libraries' own classes forbid.
    return ModelPatcher(nn.ModuleList([module]), device(), rest())


def bring(patcher: Any, working_memory: int) -> None:
    """Bring a part to its device whole, with room for `working_memory` bytes; other models may have to go."""
    if patcher is None:
        return
    import comfy.model_management as management

    stop_if_interrupted()
    management.load_models_gpu([patcher], memory_required=working_memory, force_full_load=True)


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
    """Tell the pages that are open."""
    if inside_comfyui():
        from server import PromptServer

        PromptServer.instance.send_sync(event, data)


def show_text(text: str, node_id: str | None) -> None:
    """Show text on a node while it works."""
    if node_id is None or not inside_comfyui():
        return
    from server import PromptServer

    PromptServer.instance.send_progress_text(text, node_id)


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
    return lambda latents: previewer.decode_latent_to_preview_image("JPEG", latents)
