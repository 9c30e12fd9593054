"""An adapter as one safetensors file, and its UNet part in the format of ComfyUI's LoRA loader."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import GoTError, short_repr
from ..files.whole_files import whole_file
from .adapter import LORA_A, LORA_B, WORD_IDS, Adapter

FORMAT, FORMAT_VERSION = "got-adapter", "1"
NUMBER_FORMATS = ("F16", "BF16", "F32", "F64")
MAX_HEADER = 16 << 20
"""Maximum size in bytes; an adapter of all of GoT-6B needs less than one million."""


def save_adapter(file: Path, adapter: Adapter) -> None:
    """Write an adapter atomically.

    Raises:
        GoTError: the disk is full or cannot be written to.
    """
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mllm_scale": repr(adapter.mllm_scale),
        "unet_scale": repr(adapter.unet_scale),
        "information": json.dumps(adapter.information),
    }
    _write(file, adapter.tensors, metadata)


def save_unet_lora(file: Path, adapter: Adapter) -> None:
    """Write the UNet's factors under the names that ComfyUI's LoRA loader expects for an SDXL UNet.

    `lora_unet_<name>`, with "_" for ".", has `.lora_down.weight` (A), `.lora_up.weight` (B) and `.alpha`,
    which that loader divides by the rank, so that strength 1 has the same effect as the adapter's.
    """
    tensors = {}
    for key, down in adapter.tensors.items():
        if key.startswith("unet.") and key.endswith(LORA_A):
            name = key.removesuffix(LORA_A)
            target = "lora_unet_" + name.removeprefix("unet.").replace(".", "_")
            tensors[f"{target}.lora_down.weight"] = down
            tensors[f"{target}.lora_up.weight"] = adapter.tensors[name + LORA_B]
            tensors[f"{target}.alpha"] = torch.tensor(adapter.unet_scale * down.shape[0])
    _write(file, tensors, {"format": "pt"})


def load_adapter(file: str | Path) -> Adapter:
    """Read an adapter file. Its tensors are copied, so the file may be overwritten while they are in use.

    Raises:
        GoTError: it is missing, damaged, not an adapter, or of a newer version.
    """
    try:
        _check_header(file)
        with safe_open(str(file), framework="pt") as opened:
            metadata = opened.metadata() or {}
            _check_format(file, metadata)
            tensors = {name: _read(file, opened, name) for name in opened.keys()}  # noqa: SIM118
    except GoTError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise GoTError(f"{file} is missing, truncated or not a safetensors file ({error}).") from error
    try:
        scales = float(metadata["mllm_scale"]), float(metadata["unet_scale"])
        information = json.loads(metadata["information"])
    except (KeyError, ValueError, RecursionError) as error:
        raise GoTError(f"{file} has damaged metadata ({error!s:.200}). Copy it again.") from error
    if not tensors:
        raise GoTError(f"{file} holds no weights, so it would change nothing. Copy it again, or train again.")
    try:
        return Adapter(tensors, *scales, information)
    except GoTError as error:
        raise GoTError(
            f"{file} is damaged, or its training went wrong. {error} Copy it again, or train again."
        ) from error


def _write(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(file) as temporary:
        save_file(content, temporary, metadata)


def _check_header(file: str | Path) -> None:
    """
    Raises:
        GoTError: it is a pipe or a device rather than a file, which may never end; or its header is so large
            that reading it could exhaust memory.
    """
    if os.path.exists(file) and not os.path.isfile(file):
        raise GoTError(f"{file} is not a file. Choose one that `train` has written.")
    with open(file, "rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
    if length > MAX_HEADER:
        raise GoTError(
            f"{file} is truncated or not a safetensors file: its header would have {length} bytes, and that "
            f"of an adapter has at most {MAX_HEADER}. Copy it again."
        )


def _check_format(file: str | Path, metadata: dict[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise GoTError(
            f"{file} is not a GoT adapter: its metadata says {short_repr(metadata.get('format'))}, not "
            f"{FORMAT!r}. Choose a file that `train` has written."
        )
    if metadata.get("format_version") != FORMAT_VERSION:
        raise GoTError(
            f"{file} has format version {short_repr(metadata.get('format_version'))}, this program reads "
            f"{FORMAT_VERSION}. Update it."
        )


def _read(file: str | Path, opened: Any, name: str) -> Tensor:
    """A copy of a tensor, so that the file does not stay memory-mapped."""
    kind = opened.get_slice(name).get_dtype()
    if kind not in (("I64",) if name == WORD_IDS else NUMBER_FORMATS):
        raise GoTError(
            f"{file} is damaged: its {name} holds values of the type {kind}, which no training writes. Copy "
            "it again."
        )
    tensor: Tensor = opened.get_tensor(name)
    return tensor.clone()
