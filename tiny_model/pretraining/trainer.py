"""Runs the stages on accelerate, resuming exactly where a run was stopped.

The run's folder:

    work/          the checkpoint in float32; each finished stage writes its parts into it
    state-<stage>-<step>/   accelerate's state in the middle of a stage; complete once it has this name
    losses-<stage>.jsonl    one line per step
    checkpoint/    the result, in float16
"""

from __future__ import annotations

import math
import multiprocessing
import os
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count, repeat
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from tqdm import tqdm

from got_models.errors import GoTError
from got_models.files.whole_files import writing
from got_models.training.run_folder import last_state, lock_run, lock_track, record, states, trim_log
from got_models.training.schedule import learning_rate_share

from .config import TrainingConfig
from .export import export_checkpoint
from .initialize import initialize_checkpoint
from .optimizers import build_optimizers
from .stages.joint import JointStage
from .stages.language import LanguageStage
from .stages.unet import UnetStage
from .stages.vae import DecoderStage, DetailStage, HueStage, VaeStage
from .stages.vision import VisionStage

StageClass = Any
"""A class of `stages`."""
SEEING = (VisionStage, LanguageStage)
PICTURES = (VaeStage, DetailStage, HueStage, DecoderStage)
"""What the MLLM learns and what the VAE learns: neither needs the other."""
DRAWING = (UnetStage, JointStage)


def train(
    config: TrainingConfig,
    out: Path,
    *,
    resume: bool = False,
    side_by_side: bool = False,
    stop_after_steps: int | None = None,
) -> Path | None:
    """Trains the bundled checkpoint from scratch.

    Args:
        out: the run's folder.
        resume: resume the run in ``out``; without it the folder must not hold one.
        side_by_side: train MLLM and VAE at the same time, each in a process of its own with half of the
            threads. The result differs by rounding at most, as with any other number of threads.
        stop_after_steps: save and stop after this many steps of this call, counted over all stages; of those
            side by side, the steps of one process.

    Returns:
        The finished checkpoint's folder, or None when stopped before the end.

    Raises:
        GoTError: ``out`` holds a run and ``resume`` is False, or ``resume`` is True and it holds none,
            another process trains there, or the disk is full or cannot be written to.
    """
    out = Path(out)
    steps = math.inf if stop_after_steps is None else stop_after_steps
    with lock_run(out):
        prepare_run(config, out, resume)
        if side_by_side:
            steps = run_side_by_side((SEEING, PICTURES), config, out, steps)
        for stage_class in (*SEEING, *PICTURES, *DRAWING):
            steps = run_stage(stage_class, config, out, steps)
        if steps < 0:
            return None
        with writing(out):
            return export_checkpoint(out / "work", out / "checkpoint")


def prepare_run(config: TrainingConfig, out: Path, resume: bool) -> None:
    """Makes sure that there is a checkpoint to train in ``out/work``."""
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


def run_side_by_side(
    tracks: Sequence[Sequence[StageClass]], config: TrainingConfig, out: Path, steps: float
) -> float:
    """Trains each track of stages in a process of its own; the fewest steps that one of them has left."""
    tracks = [[one for one in track if not is_done(one, out)] for track in tracks]
    tracks = [track for track in tracks if track]
    if len(tracks) < 2:
        return steps
    threads = max(1, torch.get_num_threads() // len(tracks))
    processes = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(tracks), processes, begin_process, (threads,)) as pool:
        return min(pool.map(run_track, tracks, repeat(config), repeat(out), repeat(steps), count()))


def begin_process(threads: int) -> None:
    """Makes a process end with the one that began it, however that ends."""
    torch.set_num_threads(threads)
    threading.Thread(target=end_with, args=[multiprocessing.parent_process()], daemon=True).start()


def end_with(beginner: Any) -> None:
    beginner.join()
    os._exit(1)


def run_track(
    stage_classes: Sequence[StageClass], config: TrainingConfig, out: Path, steps: float, line: int
) -> float:
    """Stages one after the other, with their progress on this line; how many steps are left."""
    with lock_track(out, line):
        beginner = multiprocessing.parent_process()
        if beginner is None or not beginner.is_alive():  # its run may have been resumed by now
            os._exit(1)
        for stage_class in stage_classes:
            steps = run_stage(stage_class, config, out, steps, line)
        return steps


def is_done(stage_class: StageClass, out: Path) -> bool:
    return (out / "work" / f"{stage_class.name}.done").exists()


def run_stage(
    stage_class: StageClass, config: TrainingConfig, out: Path, steps: float, line: int = 0
) -> float:
    """Trains a stage from its last saved state to its end, or for so many steps.

    Returns:
        How many steps are left; less than 0 when the stage was stopped before its end.
    """
    if steps < 0 or is_done(stage_class, out):
        return steps
    work, log = out / "work", out / f"losses-{stage_class.name}.jsonl"
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
    trim_log(log, stage.name, start)
    bar = tqdm(
        range(start, stage.steps),
        desc=stage.name,
        initial=start,
        total=stage.steps,
        mininterval=5,
        position=line,
    )
    for step in bar:
        steps -= 1
        if steps < 0:
            save_state(accelerator, out, stage.name, step)
            return steps
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
        record(log, {"stage": stage.name, "step": step, **values})
        bar.set_postfix(values, refresh=False)
    if start < stage.steps:  # or a stage that is stopped while it writes its result would resume from that
        save_state(accelerator, out, stage.name, stage.steps)
    if average is not None:
        average.copy_to(stage.averaged)
    with writing(out):
        stage.save(work)
        (work / f"{stage.name}.done").touch()
    for folder in states(out, stage.name):
        shutil.rmtree(folder)
    return steps


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
