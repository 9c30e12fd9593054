"""Runs a LoRA training on accelerate, resuming exactly where it was stopped or killed."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.state import AcceleratorState

from ..dataset.bundled import is_bundled
from ..dataset.rows import CACHE_FOLDER
from ..errors import GoTError, Interrupted
from ..pipeline import GoTModel
from ..weights.fingerprints import Fingerprints
from .config import DISTILL, LoraTraining
from .distillation.material import Distillation
from .lessons import Lessons
from .material import Batches, Material
from .observer import TrainingObserver
from .optimizer import check_optimizer
from .resume import check_folder, describe, is_finished, start_or_resume
from .run import Run
from .run_files import ADAPTER_FILE
from .run_folder import lock_run

PROCESS_TIMEOUT = timedelta(days=1)  # for the other processes, while the main one draws, encodes or validates


def train_lora(
    config: LoraTraining,
    *,
    resume: bool = False,
    changed_dataset: bool = False,
    stop_after_steps: int | None = None,
    observer: TrainingObserver | None = None,
    cpu: bool = False,
) -> Path | None:
    """Train an adapter: on the user's pictures, or to draw in fewer steps.

    Args:
        resume: resume the run in the config's folder; without it the folder must not hold one.
        changed_dataset: resume even if the dataset has changed since the run started.
        stop_after_steps: save and stop after this many steps of this call.
        observer: receives events, and may stop the training.
        cpu: use the CPU even if there is another device.

    Returns:
        The adapter's file, or None when stopped before the end, which is after the last validation.

    Raises:
        GoTError: the folder holds a run or none to resume, or another process trains there, the dataset or
            the checkpoint is invalid or has changed, the optimizer is not installed, the losses are not
            finite, or the disk is full. The last state is kept.
    """
    observer = observer or TrainingObserver()
    out = Path(config.out)
    check_optimizer(config)
    accelerator = _accelerator(config, cpu)
    with lock_run(out) if accelerator.is_main_process else nullcontext(), suppress(Interrupted):
        check_folder(out, resume)
        accelerator.wait_for_everyone()
        _check_processes(config, accelerator.num_processes)
        material: Material = (Distillation if config.objective == DISTILL else Lessons)(config, observer)
        cache = cache_folder(config, material.folder)
        fingerprints = Fingerprints(cache, observer.should_stop)
        if accelerator.is_main_process:
            description = describe(config, material.digest, fingerprints, observer.on_check)
            start_or_resume(out, description, changed_dataset, is_finished(config, out))
            observer.on_begin()
        accelerator.wait_for_everyone()
        if is_finished(config, out):
            return out / ADAPTER_FILE

        dtype = getattr(torch, config.precision)
        model = GoTModel.from_pretrained(config.checkpoint, accelerator.device, dtype)
        prepared = material.prepare(model, cache, fingerprints, accelerator)
        run = Run(config, out, accelerator, prepared.modules, prepared.validator)
        if _train(run, prepared.batches, observer, stop_after_steps):
            return out / ADAPTER_FILE
    return None


def cache_folder(config: LoraTraining, dataset: Path) -> Path:
    """Where a training keeps what it computes once: in the dataset's folder, unless that is a bundled one."""
    if config.cache:
        return Path(config.cache)
    return (Path(config.out) if is_bundled(dataset) else dataset) / CACHE_FOLDER


def _accelerator(config: LoraTraining, cpu: bool) -> Accelerator:
    precision = "bf16" if config.precision == "bfloat16" else "no"
    AcceleratorState._reset_state()  # state of an earlier training in this process
    timeout = InitProcessGroupKwargs(timeout=PROCESS_TIMEOUT)
    return Accelerator(mixed_precision=precision, cpu=cpu, kwargs_handlers=[timeout])


def _check_processes(config: LoraTraining, processes: int) -> None:
    """
    Raises:
        GoTError: the batches of a step cannot be divided evenly among the processes.
    """
    if config.batches_per_step % processes:
        raise GoTError(
            f"batches_per_step must be a multiple of the number of processes, {processes}; got "
            f"{config.batches_per_step}."
        )


def _train(run: Run, batches: Batches, observer: TrainingObserver, stop_after_steps: int | None) -> bool:
    """All remaining steps, with states and validations between them; returns whether training is finished."""
    config = run.config
    start = run.load()
    last = config.steps if stop_after_steps is None else min(config.steps, start + stop_after_steps)
    for step in range(start, last):
        if step > start and step % config.save_every_steps == 0:
            run.save(step)
        if config.validate_every_steps and step % config.validate_every_steps == 0:
            run.validate(step, observer)
        if observer.should_stop():
            run.save(step)
            return False
        observer.on_step(run.step(step, batches))
    run.save(last)
    if last < config.steps:
        return False
    return run.validate(last, observer) if config.validate_every_steps else True
