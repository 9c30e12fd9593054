"""Distillation of a checkpoint of the shapes world: it learns to draw in four steps of one branch."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

from got_models.files.whole_files import write_files
from got_models.training.config import LoraTraining, make_config
from got_models.training.observer import TrainingObserver
from got_models.training.trainer import train_lora
from got_models.weights.adapter import Adapter
from got_models.weights.adapter_files import load_adapter, save_adapter
from got_models.weights.distilled import OWN_FILE

from .world.edits import sample_edit
from .world.language import sample_generation

PROMPTS_FILE = "prompts.jsonl"
MATERIAL, RUN = "material", "run"
GENERATIONS, EDITS = 360, 240
SETTINGS = {
    "objective": "distill",
    "steps": 600,
    "warmup_steps": 20,
    "batch_rows": 4,
    "batches_per_step": 3,
    "resolution_px": 128,
    "precision": "float32",
    "gradient_checkpointing": False,
    "ema_decay": 0.99,
    "weight_decay": 0.0,
    "unet": {"rank": 16, "alpha": 16, "convolutions": True, "learning_rate": 3e-3},
    "distill": {"steps": 4, "teacher_steps": 16, "noises_per_plan": 2},
}


def distill(
    checkpoint: Path,
    out: Path,
    resume: bool = False,
    stop_after_steps: int | None = None,
    observer: TrainingObserver | None = None,
) -> Path | None:
    """Distil a checkpoint and write the adapter, in float16, into its folder, where `fastest` finds it.

    Args:
        out: the prompts and the run; created if missing.

    Returns:
        The adapter's file, or None when stopped before the end.

    Raises:
        GoTError: as `train_lora`.
    """
    if not resume:
        write_files(out / MATERIAL, material())
    trained = train_lora(
        distillation_config(checkpoint, out),
        resume=resume,
        stop_after_steps=stop_after_steps,
        observer=observer,
    )
    if trained is None:
        return None
    adapter = load_adapter(trained)
    half = {name: tensor.half() for name, tensor in adapter.tensors.items()}
    save_adapter(
        checkpoint / OWN_FILE, Adapter(half, adapter.mllm_scale, adapter.unet_scale, adapter.information)
    )
    return checkpoint / OWN_FILE


def distillation_config(checkpoint: Path, out: Path) -> LoraTraining:
    """The training; paths in `out`."""
    places = {"prompts": str(out / MATERIAL / PROMPTS_FILE), "out": str(out / RUN)}
    return make_config({"checkpoint": str(checkpoint), **places, **SETTINGS})


def material(generations: int = GENERATIONS, edits: int = EDITS) -> dict[str, bytes]:
    """A file of prompts, and the pictures that a part of them edits, half of these with things anywhere."""
    rng = random.Random("distillation")
    lines: list[dict[str, str]] = [{"prompt": sample_generation(rng).prompt} for _ in range(generations)]
    files = {}
    for number in range(edits):
        anywhere = number % 2 == 0
        example = sample_edit(rng, layout="anywhere" if anywhere else "quarters", varied=anywhere)
        if example.source is None:
            continue
        name, content = f"{number:03}.png", io.BytesIO()
        example.look.draw(example.source).save(content, "PNG")
        files[name] = content.getvalue()
        lines.append({"prompt": example.prompt, "source": name})
    files[PROMPTS_FILE] = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    return files
