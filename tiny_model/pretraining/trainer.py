"""Runs the stages one after the other on accelerate, resuming exactly where a run was stopped.

The run's folder:

    work/          the checkpoint in float32; each finished stage writes its parts into it
    state-<stage>-<step>/   accelerate's state in the middle of a stage; complete once it has this name
    losses.jsonl   one line per step
    checkpoint/    the result, in float16
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from tqdm import tqdm

from got_models.errors import GoTError
from got_models.files.whole_files import writing
from got_models.training.run_folder import last_state, lock_run, record, states, trim_log
from got_models.training.schedule import learning_rate_share

from .config import TrainingConfig
from .export import export_checkpoint
from .initialize import initialize_checkpoint
from .optimizers import build_optimizers
from .stages.joint import JointStage
from .stages.language import LanguageStage, NamingStage
from .stages.unet import UnetStage
from .stages.vae import DecoderStage, DetailStage, HueStage, VaeStage
from .stages.vision import VisionStage

STAGES = (
    VisionStage,
    LanguageStage,
    NamingStage,
    VaeStage,
    DetailStage,
    HueStage,
    DecoderStage,
    UnetStage,
    JointStage,
)


def train(
    config: TrainingConfig, out: Path, *, resume: bool = False, stop_after_steps: int | None = None
) -> Path | None:
    """Trains the bundled checkpoint from scratch.

    Args:
        out: the run's folder.
        resume: resume the run in ``out``; without it the folder must not hold one.
        stop_after_steps: save and stop after this many steps of this call, counted over all stages.

    Returns:
        The finished checkpoint's folder, or None when stopped before the end.

    Raises:
        GoTError: ``out`` holds a run and ``resume`` is False, or ``resume`` is True and it holds none,
            another process trains there, or the disk is full or cannot be written to.
    """
    out = Path(out)
    with lock_run(out):
        return _train(config, out, resume, StepBudget(stop_after_steps))


def _train(config: TrainingConfig, out: Path, resume: bool, budget: StepBudget) -> Path | None:
    work = out / "work"
    if work.exists() and not resume:
        raise GoTError(
            f"{out} already holds a training run; add --resume to continue it, or choose another folder."
        )
    if resume and not work.exists():
        raise GoTError(f"{out} holds no training run to resume; leave out --resume to start one there.")
    if not work.exists():
        temporary = out / "work.part"
        shutil.rmtree(temporary, ignore_errors=True)
        with writing(out):
            initialize_checkpoint(temporary, config.seed)
            temporary.rename(work)
    for stage_class in STAGES:
        if not (work / f"{stage_class.name}.done").exists() and not run_stage(
            stage_class, config, out, budget
        ):
            return None
    with writing(out):
        return export_checkpoint(work, out / "checkpoint")


class StepBudget:
    """Counts the steps that this call may still take; None means no limit."""

    def __init__(self, steps: int | None) -> None:
        self.left = math.inf if steps is None else steps

    def take(self) -> bool:
        """True while there is another step, which is deducted."""
        self.left -= 1
        return self.left >= 0


def run_stage(stage_class: Callable[..., Any], config: TrainingConfig, out: Path, budget: StepBudget) -> bool:
    """Trains one stage from its last saved state to its end; False when the budget stopped it before."""
    work = out / "work"
    stage = stage_class(work, config)
    accelerator = Accelerator(gradient_accumulation_steps=1)
    optimizers = build_optimizers(stage.learning, config)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_share(step, stage.steps, stage.warmup_steps)
        )
        for optimizer in optimizers
    ]
    module, *prepared = accelerator.prepare(stage.module, *optimizers, *schedules)
    optimizers, schedules = prepared[: len(optimizers)], prepared[len(optimizers) :]
    average = EMAModel(stage.averaged, decay=stage.ema_decay) if stage.averaged else None
    if average is not None:
        average.to(accelerator.device)
        accelerator.register_for_checkpointing(average)

    start = 0
    state = last_state(out, stage.name)
    if state is not None:
        accelerator.load_state(str(state))
        start = int(state.name.rsplit("-", 1)[1])
    trim_log(out / "losses.jsonl", stage.name, start)
    bar = tqdm(range(start, stage.steps), initial=start, total=stage.steps, desc=stage.name, mininterval=5)
    for step in bar:
        if not budget.take():
            save_state(accelerator, out, stage.name, step)
            return False
        if step > start and step % config.save_every_steps == 0:
            save_state(accelerator, out, stage.name, step)
        with torch.autocast(
            accelerator.device.type, torch.bfloat16, enabled=stage.name in config.half_precision_stages
        ):
            losses = stage.losses(accelerator.unwrap_model(module), step)
        accelerator.backward(sum(losses.values()))
        accelerator.clip_grad_norm_(module.parameters(), config.gradient_clip_norm)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        if average is not None:
            average.step(stage.averaged)
        values = {name: round(float(loss.detach()), 5) for name, loss in losses.items()}
        record(out / "losses.jsonl", {"stage": stage.name, "step": step, **values})
        bar.set_postfix(values, refresh=False)
    if average is not None:
        average.copy_to(stage.averaged)
    with writing(out):
        stage.save(work)
        (work / f"{stage.name}.done").touch()
    for folder in states(out, stage.name):
        shutil.rmtree(folder)
    return True


def save_state(accelerator: Accelerator, out: Path, stage: str, step: int) -> None:
    """Writes the state, renames it when complete, then removes older ones: one is always complete."""
    target = out / f"state-{stage}-{step}"
    temporary = out / f"state-{stage}-{step}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    older = states(out, stage)
    try:
        with writing(out):
            accelerator.save_state(str(temporary))
            if not target.exists():
                os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for folder in older:
        if folder != target:
            shutil.rmtree(folder)
