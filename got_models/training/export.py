"""The finished checkpoint: the work folder's parts in float16, nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from ..checkpoint import check

FOLDERS = ("mllm", "processor", "unet", "vae", "scheduler")
FILES = ("got.json", "projectors.safetensors")


def export_checkpoint(work: Path, target: Path) -> Path:
    """Copies a checkpoint's parts with their weights in float16; replaces an older ``target`` as a whole.

    Raises:
        GoTError: the result is not a checkpoint whose parts fit together.
    """
    beside = target.with_name(target.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name in FOLDERS:
        shutil.copytree(work / name, beside / name)
    for name in FILES:
        shutil.copy2(work / name, beside / name)
    for file in sorted(beside.rglob("*.safetensors")):
        tensors = {key: value.half().contiguous() for key, value in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})
    check(beside)
    if target.exists():
        shutil.rmtree(target)
    beside.rename(target)
    return target
