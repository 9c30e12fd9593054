"""Merging an adapter into a checkpoint's weights: a new folder, used without the adapter."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import GoTError
from ..files.checksum import checksum
from ..files.staging import MANIFEST, Staging, check_disk_space, open_staging
from .adapter import special_token_ids
from .adapter_files import load_adapter
from .adapting import change_parts
from .checkpoint import PROJECTORS_FILE, CheckpointSettings, check, part_shapes, read_shapes, write_settings
from .distilled import OWN_FILE, distilled_of
from .names import DTYPE_NAMES, plain_mllm_name
from .parts import PartLoader


def merge_adapter(
    checkpoint: Path,
    adapter: Path,
    destination: Path,
    mllm_strength: float = 1.0,
    unet_strength: float = 1.0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Create a checkpoint folder equivalent to `checkpoint` with the adapter at these strengths.

    Every tensor keeps its dtype, and every other file is copied; only the vocabulary is left out of got.json,
    because the adapter may have extended it. The folder is written under a temporary name and renamed when
    complete; an interrupted merge is resumed.

    Args:
        destination: the folder to create.
        on_progress: called after each file, and while an existing one is verified, with the bytes written so
            far and their total.

    Raises:
        GoTError: the checkpoint or the adapter is invalid or they do not match, a strength makes values that
            the dtype cannot represent, or the destination exists or cannot be written to.
    """
    if os.path.lexists(destination):
        raise GoTError(f"The destination {destination} exists already. Name a new folder.")
    settings = check(checkpoint)
    weights = _merged(checkpoint, settings, adapter, mllm_strength, unet_strength)
    files = [
        file
        for file in sorted(checkpoint.rglob("*"))
        if file.is_file() and file.name not in (MANIFEST, OWN_FILE)
    ]
    sizes = {file.relative_to(checkpoint).as_posix(): file.stat() for file in files}
    made_from = {
        "checkpoint": {name: [stat.st_size, stat.st_mtime_ns] for name, stat in sizes.items()},
        "adapter": checksum(adapter),
        "mllm_strength": mllm_strength,
        "unet_strength": unet_strength,
    }
    total = sum(stat.st_size for stat in sizes.values())
    try:
        check_disk_space(destination, total)
        with open_staging(destination, made_from) as staging:
            _write_files(
                staging, checkpoint, sizes, weights, lambda done: on_progress(min(done, total), total)
            )
            if settings.vocabulary is not None:
                write_settings(staging.folder, replace(settings, vocabulary=None))
            check(staging.folder)
            staging.publish()
    except (OSError, SafetensorError) as error:
        raise GoTError(
            f"The merge into {destination} cannot be written: {error}. Free some disk space or choose "
            "another destination, and run again: it resumes where it stopped."
        ) from error


def _write_files(
    staging: Staging,
    checkpoint: Path,
    sizes: dict[str, os.stat_result],
    weights: dict[str, dict[str, Tensor]],
    report: Callable[[int], None],
) -> None:
    """Merge the files that the adapter changes, unless they are finished already, and copy the others."""
    done, total = 0, sum(stat.st_size for stat in sizes.values())
    for name, stat in sizes.items():
        target = staging.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part, before = Path(name).parts[0], done

        def on_read(read: int, before: int = before) -> None:
            report(min(before + read, total))

        if not name.endswith(".safetensors") or part not in weights:
            shutil.copyfile(checkpoint / name, target)
        elif not staging.is_finished(name, on_read):
            _write_merged(checkpoint / name, target, weights[part])
            staging.finish(name, checksum(target, on_read))
        done += stat.st_size
        report(done)


def _merged(
    checkpoint: Path, settings: CheckpointSettings, adapter: Path, mllm_strength: float, unet_strength: float
) -> dict[str, dict[str, Tensor]]:
    """The weights that the adapter changes: folder or file in the checkpoint -> plain name -> tensor.

    Raises:
        GoTError: as `merge_adapter`, or no file holds a weight under its name.
    """
    change = load_adapter(adapter)
    if distilled_of(change):
        raise GoTError(
            "A distilled adapter draws in its own steps and branch, which a checkpoint cannot say. Use it "
            "as an adapter, at the speed 'fastest'."
        )
    load = PartLoader(checkpoint, settings, _weights_dtype(checkpoint))
    reasoner, ssgm, unet = load("reasoner"), load("ssgm"), load("unet")
    parts = {"mllm": reasoner.mllm, "projectors": ssgm, "unet": unet}
    change_parts(parts, change, mllm_strength, unet_strength, special_token_ids(reasoner.tokenizer))
    modules: dict[str, Any] = {"mllm": reasoner.mllm, "unet": unet, PROJECTORS_FILE: ssgm}
    for part, module in modules.items():
        place = checkpoint / part
        shapes = part_shapes(place) if place.is_dir() else read_shapes(place)
        names = {plain_mllm_name(name) for name, _ in module.named_parameters()}
        lost = names - set(map(plain_mllm_name, shapes))
        if lost:
            raise GoTError(f"{place} does not hold {min(lost)} under this name, so it cannot be merged.")
    return {
        part: {plain_mllm_name(name): tensor for name, tensor in module.state_dict().items()}
        for part, module in modules.items()
    }


def _write_merged(source: Path, target: Path, weights: dict[str, Tensor]) -> None:
    """Write a file with its tensors merged, under their own names and in their own dtypes.

    Raises:
        GoTError: a value that its dtype cannot represent.
    """
    tensors = {}
    with safe_open(str(source), framework="pt") as file:
        for name in file.keys():  # noqa: SIM118
            tensor = file.get_tensor(name)
            merged = weights.get(plain_mllm_name(name), tensor)
            tensors[name] = merged.to(tensor.dtype, copy=True).contiguous()
            if not torch.isfinite(tensor).all():
                raise GoTError(
                    f"{source}: {name} holds NaN or infinite values before the merge. Copy or import the "
                    "checkpoint again."
                )
            if not torch.isfinite(tensors[name]).all():
                raise GoTError(
                    f"Merged, {name} has values that {tensor.dtype} cannot hold. Choose smaller strengths."
                )
        save_file(tensors, target, file.metadata())


def _weights_dtype(checkpoint: Path) -> torch.dtype:
    """The dtype of the parts that an adapter changes; float32 if they have several."""
    found = set()
    for place in (*checkpoint.glob("mllm/*.safetensors"), *checkpoint.glob("unet/*.safetensors")):
        with safe_open(str(place), framework="pt") as file:
            found |= {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    names = {name: dtype for dtype, name in DTYPE_NAMES.items()}
    return names[found.pop()] if len(found) == 1 and found <= names.keys() else torch.float32
