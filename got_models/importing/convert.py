"""The import, step by step: validate everything, write file by file, then rename the folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import GoTError
from ..files.staging import check_disk_space, open_staging
from ..weights.checkpoint import (
    PROJECTORS_FILE,
    WEIGHT_FILES,
    CheckpointSettings,
    Shapes,
    TaskSettings,
    check,
    write_settings,
)
from .folders import PublishedFolders
from .names import BASE, LORA_A, LORA_B, PARTS, PROJECTORS, Recipe
from .plan import VISION_SIZE, ImportPlan, make_plan
from .shards import PublishedWeights
from .writing import write_safetensors

SHARD_BYTES = 1_000_000_000  # per weight file: how much an interrupted import may have to write again
SMALL_FILES_BYTES = 64_000_000  # an upper bound for tokenizer and settings
MAX_NEW_TOKENS = 1024
TASKS = {
    "generate": TaskSettings(semantic=7.5, spatial=4.0, reference=1.0, steps=50, width=1024, height=1024),
    "edit": TaskSettings(semantic=4.0, spatial=3.0, reference=1.5, steps=50, width=1024, height=1024),
}
"""The settings of the published inference code."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class WeightFile:
    """One weight file to write: its name in the checkpoint, its part, and the shapes it holds, in order."""

    name: str
    part: str
    shapes: Shapes

    def bytes(self, dtype: torch.dtype) -> int:
        return sum(prod(shape) for shape in self.shapes.values()) * dtype.itemsize


def import_checkpoint(
    folders: PublishedFolders,
    destination: Path,
    dtype: str = "bfloat16",
    lora_alpha: float | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Create a checkpoint folder from the published ones. An interrupted import is resumed.

    Args:
        destination: the folder to create.
        dtype: of the weights, one of STORED_DTYPES. LoRA is merged in float32 first.
        lora_alpha: numerator of LoRA's scale alpha / r; None means r, as in GoT-6B.
        on_progress: called after each tensor and each file with the bytes finished and the total; may raise
            to stop the import.

    Raises:
        GoTError: the source cannot be imported, or the destination cannot be written to; the destination
            is not created.
    """
    _check_destination(folders, destination)
    # 1. What to write, from headers and settings alone.
    weights = PublishedWeights(folders.got)
    plan = make_plan(folders, weights)
    number_type = getattr(torch, dtype)
    files = [file for part in PARTS for file in _weight_files(part, plan.shapes[part], number_type)]
    sources = {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in weights.files}
    layout = hashlib.sha256(json.dumps([[file.name, file.shapes] for file in files]).encode()).hexdigest()
    made_from = {"weights": sources, "dtype": dtype, "lora_alpha": lora_alpha, "layout": layout}
    total = sum(file.bytes(number_type) for file in files)

    def report(*done: int) -> None:
        if on_progress:
            on_progress(min(sum(done), total), total)

    def tensors(file: WeightFile, done: int) -> Iterator[tuple[str, Tensor]]:
        for name, shape in file.shapes.items():
            yield name, make_tensor(weights, plan.recipes[file.part][name], lora_alpha)
            done += prod(shape) * number_type.itemsize
            report(done)

    try:
        check_disk_space(destination, total + SMALL_FILES_BYTES)
        with open_staging(destination, made_from) as staging:
            done = 0  # 2. Weights, file by file, except those that an earlier import has finished.
            for file in files:
                if not staging.is_finished(file.name, partial(report, done)):
                    target, values = staging.folder / file.name, tensors(file, done)
                    staging.finish(file.name, write_safetensors(target, file.shapes, number_type, values))
                done += file.bytes(number_type)
                report(done)
            # 3. Settings, a final check of the whole, and the rename.
            _write_small_files(staging.folder, folders, plan, files, number_type)
            check(staging.folder)
            staging.publish()
    except OSError as error:
        raise GoTError(
            f"The import into {destination} cannot be written: {error.strerror or error}. Free some disk"
            " space or choose another destination, and run again: it resumes where it stopped."
        ) from error


def make_tensor(weights: PublishedWeights, recipe: Recipe, lora_alpha: float | None) -> Tensor:
    """The tensor as published, or with its LoRA merged in float32: W + B A alpha / r.

    W [out, in], A [r, in], B [out, r].
    """
    base = weights.tensor(recipe[BASE])
    if LORA_A not in recipe:
        return base
    first, second = weights.tensor(recipe[LORA_A]).float(), weights.tensor(recipe[LORA_B]).float()
    rank = first.shape[0]
    return base.float() + (second @ first) * ((rank if lora_alpha is None else lora_alpha) / rank)


def _check_destination(folders: PublishedFolders, destination: Path) -> None:
    sources = (folders.got, folders.qwen, folders.sdxl)
    if destination.resolve() in {place.resolve() for folder in sources for place in (folder, folder.parent)}:
        raise GoTError(f"The destination {destination} is a source of the import. Name a new folder.")
    if os.path.lexists(destination):
        raise GoTError(
            f"The destination {destination} exists already. Name a new folder, or remove that one."
        )


def _weight_files(part: str, shapes: Shapes, dtype: torch.dtype) -> list[WeightFile]:
    """A part's tensors distributed over files of at most SHARD_BYTES, or one tensor."""
    if part == PROJECTORS:
        return [WeightFile(PROJECTORS_FILE, part, shapes)]
    shards: list[Shapes] = [{}]
    room = SHARD_BYTES
    for name, shape in shapes.items():
        size = prod(shape) * dtype.itemsize
        if size > room and shards[-1]:
            shards.append({})
            room = SHARD_BYTES
        shards[-1][name] = shape
        room -= size
    stem = f"{part}/{WEIGHT_FILES[part]}"
    if len(shards) == 1:
        return [WeightFile(f"{stem}.safetensors", part, shapes)]
    return [
        WeightFile(f"{stem}-{number:05d}-of-{len(shards):05d}.safetensors", part, shard)
        for number, shard in enumerate(shards, 1)
    ]


def _write_small_files(
    folder: Path, folders: PublishedFolders, plan: ImportPlan, files: list[WeightFile], dtype: torch.dtype
) -> None:
    """Write everything except weights; an index only for parts with several files."""
    for part, config in plan.configs.items():
        _write_json(folder / part / "config.json", config)
        shards = [file for file in files if file.part == part]
        if len(shards) > 1:
            size = sum(file.bytes(dtype) for file in shards)
            weight_map = {name: Path(file.name).name for file in shards for name in file.shapes}
            index = {"metadata": {"total_size": size}, "weight_map": weight_map}
            _write_json(folder / part / f"{WEIGHT_FILES[part]}.safetensors.index.json", index)
    shutil.copyfile(folders.qwen / "generation_config.json", folder / "mllm/generation_config.json")
    plan.scheduler.save_pretrained(folder / "scheduler")
    plan.processor.write(folder / "processor")
    write_settings(folder, CheckpointSettings(VISION_SIZE, MAX_NEW_TOKENS, plan.sizes, TASKS))


def _write_json(file: Path, values: dict[str, Any]) -> None:
    file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
