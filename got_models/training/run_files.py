"""The names of the files in a training's folder, described in `run_folder.py`."""

from __future__ import annotations

from pathlib import Path

STAGE = "lora"
RUN_FILE = "run.json"
LOG_FILE = "losses.jsonl"
ADAPTER_FILE = "adapter.safetensors"
UNET_LORA_FILE = "unet_lora.safetensors"
BEST_FILE = "best.safetensors"
SAMPLES_FOLDER = "samples"
PRESERVED_FOLDER = "preserved"
TRAINED_FILE = "trained.safetensors"
MAX_RUN_FILE = 1_000_000  # bytes of run.json


def strip_file(out: Path, step: int) -> Path:
    """The file of a validation's strip."""
    return out / SAMPLES_FOLDER / f"step-{step:06d}.png"
