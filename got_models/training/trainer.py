"""Runs a LoRA training on accelerate, resuming exactly where it was stopped or killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.state import AcceleratorState

from ..dataset.encoding import Encoder
from ..dataset.row_batches import RowBatches
from ..dataset.rows import CACHE_FOLDER, Row, read_dataset
from ..errors import GoTError, Interrupted
from ..pipeline import GoTModel
from ..weights.fingerprints import Fingerprints
from .config import LoraTraining
from .modules import LoraModules
from .observer import TrainingObserver
from .optimizer import check_optimizer
from .prior_preservation import known_prompts, preserve
from .resume import check_folder, describe, is_finished, start_or_resume
from .run import Run
from .run_files import ADAPTER_FILE, PRESERVED_FOLDER
from .run_folder import lock_run
from .validation import Validator

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
    """Train an adapter on the user's pictures.

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
        dataset = read_dataset(config.dataset, lambda rows: _stop_if(observer.should_stop))
        dataset = dataset.usable(config.leave_out_bad_rows)
        rows, validation_rows = split_rows(dataset.rows, config.validation_rows)
        prompts = known_prompts(rows, config) if config.preserved_rows else []
        cache = Path(config.cache or dataset.folder / CACHE_FOLDER)
        fingerprints = Fingerprints(cache, observer.should_stop)
        if accelerator.is_main_process:
            description = describe(config, dataset, fingerprints, observer.on_check)
            start_or_resume(out, description, changed_dataset, is_finished(config, out))
            observer.on_begin()
        accelerator.wait_for_everyone()
        if is_finished(config, out):
            return out / ADAPTER_FILE

        dtype = getattr(torch, config.precision)
        model = GoTModel.from_pretrained(config.checkpoint, accelerator.device, dtype)
        encoder = Encoder(model, config.resolution_px, cache, fingerprints)
        rows = (*rows, *_preserved_rows(config, prompts, encoder, accelerator, observer))
        _encode(rows, encoder, accelerator, observer)
        batches = RowBatches(rows, encoder, model, config.batch_rows, config.seed)
        validator = _validator(config, validation_rows, encoder) if accelerator.is_main_process else None
        if validator is None:
            model.parts.release("vae")  # all its outputs are in the cache now
        run = Run(config, out, accelerator, LoraModules(model, config), validator)
        if _train(run, batches, observer, stop_after_steps):
            return out / ADAPTER_FILE
    return None


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


def _preserved_rows(
    config: LoraTraining,
    prompts: list[tuple[Row, str]],
    encoder: Encoder,
    accelerator: Accelerator,
    observer: TrainingObserver,
) -> Sequence[Row]:
    """Rows that the model plans and draws for these prompts before the training.

    Raises:
        Interrupted: the observer asked to stop before all of them were drawn.
    """
    if not prompts:
        return ()
    folder = Path(config.out) / PRESERVED_FOLDER
    if accelerator.is_main_process:
        with suppress(Interrupted):
            preserve(encoder, prompts, config.validation_steps, folder, observer)
    accelerator.wait_for_everyone()
    preserved = read_dataset(folder)
    if len(preserved.rows) + len(preserved.invalid) < len(prompts):
        raise Interrupted("Drawing what the model knows was interrupted.")
    return preserved.rows


def _encode(
    rows: Sequence[Row], encoder: Encoder, accelerator: Accelerator, observer: TrainingObserver
) -> None:
    """Fill the cache with all rows.

    Raises:
        Interrupted: the observer asked to stop.
    """
    with accelerator.main_process_first():
        for done, row in enumerate(rows, start=1):
            _stop_if(observer.should_stop)
            encoder.encode(row)
            observer.on_encode(done, len(rows))


def _validator(config: LoraTraining, rows: Sequence[Row], encoder: Encoder) -> Validator | None:
    return Validator(encoder, rows, config.validation_steps, config.seed) if rows else None


def _train(run: Run, batches: RowBatches, observer: TrainingObserver, stop_after_steps: int | None) -> bool:
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


def split_rows(rows: Sequence[Row], validation_rows: int) -> tuple[Sequence[Row], Sequence[Row]]:
    """The rows to train on, and the last ones, which are held out for validation.

    Raises:
        GoTError: none is left to train on, or none of those for validation has boxes to compare with.
    """
    if validation_rows >= len(rows):
        raise GoTError(
            f"validation_rows is {validation_rows}, but the dataset has {len(rows)} rows that can be used, "
            "and at least one must be left to train on. Keep fewer out, or add rows."
        )
    training, validation = rows[: len(rows) - validation_rows], rows[len(rows) - validation_rows :]
    if validation and not any(row.chain.regions for row in validation):
        raise GoTError(
            f"None of the last {validation_rows} rows has boxes that a plan could be compared with. Put rows "
            "with boxes at the end of the dataset."
        )
    return training, validation


def _stop_if(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Interrupted("The training was interrupted before its first step.")
