"""Runs a LoRA training on accelerate, and continues exactly where it was stopped or killed.

The run's folder:

    run.json                 the config, and digests of the dataset and of the checkpoint
    state-lora-<step>/       everything needed to go on; complete once it has this name
    losses.jsonl             one line per step, and one per validation, before the step that follows it
    adapter.safetensors      the result; until the end, that of the last state
    unet_lora.safetensors    its UNet half for ComfyUI's own LoRA loader
    best.safetensors         the adapter whose plans were the best at a validation
    samples/step-<step>.png  what was planned and drawn at a validation
    preserved/               rows that the model planned and drew before it was trained, a dataset
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.state import AcceleratorState
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..adapter import load_adapter, save_adapter, save_unet_lora
from ..dataset.digests import Digests
from ..dataset.encoding import Encoder
from ..dataset.row_batches import RowBatches
from ..dataset.rows import CACHE_FOLDER, Dataset, Row, read_dataset
from ..errors import GoTError, Interrupted
from ..model import GoTModel
from ..text_files import read_text
from ..whole_files import UnwritableError, whole_file, write_whole
from .config import LoraTraining, as_dictionary, differences, make_config
from .modules import LoraModules
from .optimizer import check_optimizer, make_optimizer
from .prior_preservation import known_prompts, preserve
from .run_folder import hold_run, last_state, record, states, trim_log
from .schedule import learning_rate_share, step_seed
from .validation import Validation, Validator

STAGE = "lora"
RUN_FILE, LOG_FILE, ADAPTER_FILE = "run.json", "losses.jsonl", "adapter.safetensors"
UNET_LORA_FILE, BEST_FILE = "unet_lora.safetensors", "best.safetensors"
SAMPLES_FOLDER, PRESERVED_FOLDER = "samples", "preserved"
TRAINED_FILE = "trained.safetensors"
BASE = "int8"
"""In what `fp8_base` keeps frozen weights, noted in run.json; at first it was fp8, without a note."""
LARGEST_RUN_FILE = 1_000_000  # bytes of run.json
PATIENCE = timedelta(days=1)  # of the other processes, while the main one draws, encodes or validates


@dataclass(frozen=True)
class Progress:
    """What a step has done: steps counted from 1, losses by name, the norm of the gradient."""

    step: int
    steps: int
    losses: dict[str, float]
    gradient_norm: float


def train_lora(
    config: LoraTraining,
    *,
    resume: bool = False,
    changed_dataset: bool = False,
    stop_after_steps: int | None = None,
    on_check: Callable[[int, int], None] = lambda done, total: None,
    on_begin: Callable[[], None] = lambda: None,
    on_preserve: Callable[[int, int], None] = lambda done, total: None,
    on_encode: Callable[[int, int], None] = lambda done, total: None,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_validation: Callable[[Validation], None] = lambda validation: None,
    should_stop: Callable[[], bool] = lambda: False,
    cpu: bool = False,
) -> Path | None:
    """Train an adapter on one's own pictures.

    Args:
        resume: go on with the run in the config's folder; without it the folder must not hold one.
        changed_dataset: go on although the dataset has changed since the run began.
        stop_after_steps: save and stop after this many steps of this call.
        on_check: told in the main process how many bytes of the checkpoint's weights have been read, to know
            whether they are those that the run began with; not if that is known from before.
        on_begin: told in the main process when the run's folder is its own, and what is given can be used.
        on_preserve: told after each row that the model preserves how many are drawn, in the main process.
        on_encode: told after each row how many of all rows are encoded.
        on_step: told after each step, in every process.
        on_validation: told after each validation, in the main process.
        should_stop: asked before every step, while validating, and while rows and weights are read; True
            saves and stops.
        cpu: train on the CPU although there is another device.

    Returns:
        The adapter's file, or None when stopped before the end. The end is after the last validation.

    Raises:
        GoTError: the folder holds a run or none to resume, or another process trains there, the dataset or
            the checkpoint cannot be used or has changed, the optimizer is not installed, the losses are no
            longer numbers, or the disk is full. The last state stays.
    """
    out = Path(config.out)
    check_optimizer(config)
    precision = "bf16" if config.precision == "bfloat16" else "no"
    AcceleratorState._reset_state()  # of an earlier training in this process, maybe in another precision
    patience = InitProcessGroupKwargs(timeout=PATIENCE)
    accelerator = Accelerator(mixed_precision=precision, cpu=cpu, kwargs_handlers=[patience])
    with hold_run(out) if accelerator.is_main_process else nullcontext(), suppress(Interrupted):
        _check_folder(out, resume)
        accelerator.wait_for_everyone()
        if config.batches_per_step % accelerator.num_processes:
            raise GoTError(
                "batches_per_step must be a multiple of the number of processes, "
                f"{accelerator.num_processes}; got {config.batches_per_step}."
            )
        dataset = read_dataset(config.dataset, lambda rows: _stop_if(should_stop))
        dataset = dataset.usable(config.leave_out_bad_rows)
        rows, validation_rows = split_rows(dataset.rows, config.validation_rows)
        prompts = known_prompts(rows, config) if config.preserved_rows else []
        cache = Path(config.cache or dataset.folder / CACHE_FOLDER)
        digests = Digests(cache, should_stop)
        if accelerator.is_main_process:
            description = _description(config, dataset, digests, on_check)
            _begin(out, description, changed_dataset, _is_finished(config, out))
            on_begin()
        accelerator.wait_for_everyone()
        if _is_finished(config, out):
            return out / ADAPTER_FILE

        dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
        model = GoTModel.from_pretrained(config.checkpoint, accelerator.device, dtype)
        encoder = Encoder(model, config.resolution_px, cache, digests)
        if prompts:
            folder = out / PRESERVED_FOLDER
            if accelerator.is_main_process:
                with suppress(Interrupted):
                    preserve(encoder, prompts, config.validation_steps, folder, on_preserve, should_stop)
            accelerator.wait_for_everyone()
            preserved = read_dataset(folder)
            if len(preserved.rows) + len(preserved.bad) < len(prompts):
                return None
            rows = (*rows, *preserved.rows)
        with accelerator.main_process_first():
            for done, row in enumerate(rows, start=1):
                if should_stop():
                    return None
                encoder.encode(row)
                on_encode(done, len(rows))
        batches = RowBatches(rows, encoder, model, config.batch_rows, config.seed)
        validator = None
        if validation_rows and accelerator.is_main_process:
            validator = Validator(encoder, validation_rows, config.validation_steps, config.seed)
        else:
            vars(model).pop("vae", None)  # everything it makes is in the cache now
        run = _Run(config, out, accelerator, LoraModules(model, config), validator)

        start = run.load()
        last = config.steps if stop_after_steps is None else min(config.steps, start + stop_after_steps)
        for step in range(start, last):
            if step > start and step % config.save_every_steps == 0:
                run.save(step)
            if config.validate_every_steps and step % config.validate_every_steps == 0:
                run.validate(step, on_validation, should_stop)
            if should_stop():
                run.save(step)
                return None
            on_step(run.step(step, batches))
        run.save(last)
        finished = last == config.steps
        if finished and config.validate_every_steps:
            finished = run.validate(last, on_validation, should_stop)
        return out / ADAPTER_FILE if finished else None
    return None


def split_rows(rows: Sequence[Row], validation_rows: int) -> tuple[Sequence[Row], Sequence[Row]]:
    """The rows to train on, and the last ones, on which the model is validated.

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


def strip_file(out: Path, step: int) -> Path:
    """Where the strip of a validation lies."""
    return out / SAMPLES_FOLDER / f"step-{step:06d}.png"


class _Run:
    """The state of a training: modules, optimizer, schedule, average; one step, validating, saving, loading.

    `validator`: in the main process, of a training that has validations.
    """

    def __init__(
        self,
        config: LoraTraining,
        out: Path,
        accelerator: Accelerator,
        modules: LoraModules,
        validator: Validator | None,
    ) -> None:
        self.config = config
        self.out = out
        self.accelerator = accelerator
        self.validator = validator
        self.best_iou = -1.0
        optimizer = make_optimizer(config, modules.parameter_groups())
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_share(step, config.steps, config.warmup_steps)
        )
        accelerator.register_save_state_pre_hook(self._write_trained)
        accelerator.register_load_state_pre_hook(self._read_trained)
        # Not the schedule: accelerate would let it advance once for every process.
        self.module, self.optimizer = accelerator.prepare(modules, optimizer)
        self.schedule = schedule
        accelerator.register_for_checkpointing(schedule)
        self.average = None
        if config.ema_decay:
            self.average = EMAModel(self.modules.trained(), decay=config.ema_decay)
            self.average.to(accelerator.device)
            accelerator.register_for_checkpointing(self.average)

    @property
    def modules(self) -> LoraModules:
        """The modules as this program knows them, without what accelerate puts around them."""
        modules: LoraModules = self.accelerator.unwrap_model(self.module)
        return modules

    def step(self, step: int, batches: RowBatches) -> Progress:
        """One step of the optimizer, on this process's share of the step's batches.

        Raises:
            GoTError: a loss or a gradient is no longer a number; the weights are as before the step.
        """
        config, accelerator = self.config, self.accelerator
        numbers = range(
            step * config.batches_per_step + accelerator.process_index,
            (step + 1) * config.batches_per_step,
            accelerator.num_processes,
        )
        totals: dict[str, Tensor] = {}
        for number in numbers:
            batch = batches[number].to(accelerator.device)
            losses = self.module(batch, step_seed(config.seed, STAGE, number))
            accelerator.backward(sum(losses.values()) / len(numbers))
            for name, loss in losses.items():
                totals[name] = totals.get(name, 0.0) + loss.detach().float() / len(numbers)
        means = {name: float(accelerator.reduce(value, "mean")) for name, value in totals.items()}
        norm = float(
            accelerator.clip_grad_norm_(self.modules.trained(), config.gradient_clip_norm or math.inf)
        )
        if not all(map(math.isfinite, [*means.values(), norm])):
            raise GoTError(self._explosion(step, means, norm))
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.step(self.modules.trained())
        if accelerator.is_main_process:
            self._record(step, means)
        return Progress(step + 1, config.steps, means, norm)

    def load(self) -> int:
        """Take up the newest complete state, if there is one; the number of the next step."""
        state = last_state(self.out, STAGE)
        start = 0
        if state is not None:
            try:
                self.accelerator.load_state(str(state))
            except Exception as error:  # a damaged file raises many kinds, as the libraries read it
                raise GoTError(
                    f"The state {state} cannot be read: {error}. Remove that folder: the run then goes on "
                    "from the state before."
                ) from error
            start = int(state.name.rsplit("-", 1)[1])
        if self.accelerator.is_main_process:
            trim_log(self.out / LOG_FILE, STAGE, start)
        if self.validator is not None and (self.out / BEST_FILE).exists():
            self.best_iou = float(load_adapter(self.out / BEST_FILE).information["layout_iou"])
        self.accelerator.wait_for_everyone()
        return start

    def validate(
        self, step: int, on_validation: Callable[[Validation], None], should_stop: Callable[[], bool]
    ) -> bool:
        """Let the main process validate what has been learned; False if it was stopped before it had.

        Raises:
            GoTError: a picture has changed, or the disk is full or cannot be written to.
        """
        finished = True
        if self.validator is not None:
            try:
                with self._averaged(), self.accelerator.autocast():
                    validation = self.validator.validate(self.modules, step, should_stop)
            except Interrupted:
                finished = False
            else:
                self._keep(validation)
                on_validation(validation)
        self.accelerator.wait_for_everyone()
        return finished

    def _keep(self, validation: Validation) -> None:
        """Write a validation's strip, its line of the log and, if no plan was better before, its adapter."""
        file = strip_file(self.out, validation.step)
        with self._writing(f"The validation of step {validation.step}"):
            with whole_file(file) as beside:
                validation.strip.save(beside, "PNG")
            if validation.layout_iou > self.best_iou:
                self._write_adapter(BEST_FILE, validation.step, layout_iou=validation.layout_iou)
                self.best_iou = validation.layout_iou
        self._record(validation.step, {"layout_iou": validation.layout_iou})

    def save(self, step: int) -> None:
        """Write the state and the adapter beside and rename them, then remove the oldest states.

        Raises:
            GoTError: the disk is full or cannot be written to; the states before are untouched.
        """
        target = self.out / f"state-{STAGE}-{step}"
        beside = target.with_name(target.name + ".part")
        accelerator = self.accelerator
        try:
            with self._writing(f"The state of step {step}"):
                if accelerator.is_main_process:
                    shutil.rmtree(beside, ignore_errors=True)
                accelerator.wait_for_everyone()
                if not target.exists():
                    accelerator.save_state(str(beside))
                    accelerator.wait_for_everyone()
                    if accelerator.is_main_process:
                        os.replace(beside, target)
                if accelerator.is_main_process:
                    self._write_adapter(ADAPTER_FILE, step)
                    for folder in states(self.out, STAGE)[: -self.config.states_kept]:
                        shutil.rmtree(folder)
        except GoTError:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        accelerator.wait_for_everyone()

    def _record(self, step: int, values: dict[str, float]) -> None:
        rounded = {name: round(value, 5) for name, value in values.items()}
        with self._writing(f"The log of step {step}"):
            record(self.out / LOG_FILE, {"stage": STAGE, "step": step, **rounded})

    def _write_adapter(self, name: str, step: int, **information: float) -> None:
        with self._averaged():  # until it is written: its tensors are the weights themselves
            adapter = self.modules.adapter({"steps": step, **information})
            save_adapter(self.out / name, adapter)
            if name == ADAPTER_FILE and self.config.unet.train == "lora":
                save_unet_lora(self.out / UNET_LORA_FILE, adapter)

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        """
        Raises:
            GoTError: what was to be written in here could not be.
        """
        try:
            yield
        except (UnwritableError, OSError, RuntimeError, SafetensorError) as error:  # RuntimeError: torch
            reason = error.__cause__ if isinstance(error, UnwritableError) else error
            raise GoTError(
                f"{what} cannot be written to {self.out}: {reason}. {self._last_good()} Make room and resume."
            ) from error

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """In here the weights are their average over the steps, if there is one."""
        if self.average is None:
            yield
            return
        trained = self.modules.trained()
        self.average.store(trained)
        self.average.copy_to(trained)
        try:
            yield
        finally:
            self.average.restore(trained)

    def _write_trained(self, models: list[nn.Module], weights: list[Any], folder: str) -> None:
        """Hook of `save_state`: what is trained, and not gigabytes of frozen weights."""
        weights.clear()
        if self.accelerator.is_main_process:
            tensors = {name: value.detach().cpu().contiguous() for name, value in self._trained().items()}
            save_file(tensors, Path(folder) / TRAINED_FILE)

    @torch.no_grad()
    def _read_trained(self, models: list[nn.Module], folder: str) -> None:
        """Hook of `load_state`."""
        models.clear()
        tensors = load_file(Path(folder) / TRAINED_FILE)
        for name, parameter in self._trained().items():
            parameter.copy_(tensors[name])

    def _trained(self) -> dict[str, nn.Parameter]:
        return {name: value for name, value in self.modules.named_parameters() if value.requires_grad}

    def _explosion(self, step: int, losses: dict[str, float], norm: float) -> str:
        values = ", ".join(f"{name} {value:g}" for name, value in losses.items())
        return (
            f"Training has left the numbers at step {step + 1}: {values}, gradient norm {norm:g}. The "
            f"learning rates are too high, or the precision too low. {self._last_good()} Start a new run "
            "with a tenth of the learning rates."
        )

    def _last_good(self) -> str:
        state = last_state(self.out, STAGE)
        if state is None:
            return "No state was saved before."
        return f"The last good state is {state.name}, and {ADAPTER_FILE} holds what it had learned."


def _is_finished(config: LoraTraining, out: Path) -> bool:
    """Whether the run has been trained to its end, and its last validation is there."""
    state = out / f"state-{STAGE}-{config.steps}"
    validated = not config.validate_every_steps or strip_file(out, config.steps).exists()
    return state.exists() and validated and (out / ADAPTER_FILE).exists()


def _check_folder(out: Path, resume: bool) -> None:
    begun = (out / RUN_FILE).exists()
    if begun and not resume:
        raise GoTError(f"{out} already holds a training run: resume it, or choose another folder.")
    if resume and not begun:
        raise GoTError(f"{out} holds no training run to resume; start one there without resuming.")


def _stop_if(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Interrupted("Reading the dataset was interrupted.")


def _description(
    config: LoraTraining, dataset: Dataset, digests: Digests, on_check: Callable[[int, int], None]
) -> dict[str, Any]:
    """What must stay the same for a run to go on."""
    checkpoint = Path(config.checkpoint)
    GoTModel.from_pretrained(checkpoint)  # says what is wrong with the folder
    parts = digests.checkpoint(checkpoint, on_check)
    base = {"base": BASE} if config.fp8_base else {}
    return {"config": as_dictionary(config), "dataset": dataset.digest, "checkpoint": parts, **base}


def _begin(out: Path, description: dict[str, Any], changed_dataset: bool, finished: bool) -> None:
    """Write run.json, or compare with the one that is there.

    Args:
        finished: the run has nothing left to train.

    Raises:
        GoTError: run.json is damaged, or the config, the checkpoint, the dataset or the number format of
            frozen weights is not what the run began with.
    """
    file = out / RUN_FILE
    if file.exists():
        try:
            before = json.loads(read_text(file, LARGEST_RUN_FILE))
            begun = as_dictionary(make_config(before["config"]))  # with the defaults of keys newer than it
            before["checkpoint"], before["dataset"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise GoTError(
                f"{file} is damaged, so the run cannot go on: {error} Start another run."
            ) from error
        changed = differences(begun, description["config"])
        if changed:
            raise GoTError(
                f"The config has changed since the run in {out} began: {'; '.join(changed)}. Change it back, "
                "or start another run."
            )
        if before["checkpoint"] != description["checkpoint"]:
            raise GoTError(f"The checkpoint's weights have changed since the run in {out} began.")
        if before.get("base") != description.get("base") and not finished:
            raise GoTError(
                f"The run in {out} began with frozen weights in fp8. fp8_base now rounds them to int8, which "
                "is closer to what they were, but another training. Start another run."
            )
        if before["dataset"] == description["dataset"]:
            return
        if not changed_dataset:
            raise GoTError(
                f"The dataset has changed since the run in {out} began: resumed, it will not be the run that "
                "it was. Change it back, or go on with it as it is now: --changed-dataset, or in ComfyUI "
                "'go on with changed pictures'."
            )
    write_whole(file, (json.dumps(description, indent=2) + "\n").encode())
