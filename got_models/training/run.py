"""The training loop's state and operations: one step, validating, saving and loading."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import GoTError, Interrupted
from ..files.whole_files import UnwritableError, whole_file
from ..weights.adapter_files import load_adapter, save_adapter, save_unet_lora
from .config import LoraTraining
from .material import Batches, TrainedModules
from .observer import Progress, TrainingObserver
from .optimizer import make_optimizer
from .run_files import ADAPTER_FILE, BEST_FILE, LOG_FILE, STAGE, TRAINED_FILE, UNET_LORA_FILE, strip_file
from .run_folder import last_state, record, states, trim_log
from .schedule import learning_rate_share, step_seed
from .validation import Validation, Validator


class Run:
    """The state of a training: modules, optimizer, schedule, average; one step, validating, saving, loading.

    `validator`: set in the main process if the training has validations.
    """

    def __init__(
        self,
        config: LoraTraining,
        out: Path,
        accelerator: Accelerator,
        modules: TrainedModules,
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
        # Not the schedule: accelerate would advance it once per process.
        self.module, self.optimizer = accelerator.prepare(modules, optimizer)
        self.schedule = schedule
        accelerator.register_for_checkpointing(schedule)
        self.average = None
        if config.ema_decay:
            self.average = EMAModel(self.modules.trained(), decay=config.ema_decay)
            self.average.to(accelerator.device)
            accelerator.register_for_checkpointing(self.average)

    @property
    def modules(self) -> TrainedModules:
        """The modules without accelerate's wrappers."""
        modules: TrainedModules = self.accelerator.unwrap_model(self.module)
        return modules

    def step(self, step: int, batches: Batches) -> Progress:
        """One step of the optimizer, on this process's share of the step's batches.

        Raises:
            GoTError: a loss or a gradient is not finite; the weights are as before the step.
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
        """Restore the newest complete state, if there is one; returns the number of the next step."""
        state = last_state(self.out, STAGE)
        start = 0
        if state is not None:
            try:
                self.accelerator.load_state(str(state))
            except Exception as error:  # a damaged file raises many types, depending on the library
                raise GoTError(
                    f"The state {state} cannot be read: {error}. Remove that folder: the run then resumes "
                    "from the state before."
                ) from error
            start = int(state.name.rsplit("-", 1)[1])
        if self.accelerator.is_main_process:
            trim_log(self.out / LOG_FILE, STAGE, start)
        if self.validator is not None and (self.out / BEST_FILE).exists():
            self.best_iou = float(load_adapter(self.out / BEST_FILE).information["layout_iou"])
        self.accelerator.wait_for_everyone()
        return start

    def validate(self, step: int, observer: TrainingObserver) -> bool:
        """Validate the current weights in the main process; False if stopped before the end.

        Raises:
            GoTError: a picture has changed, or the disk is full or cannot be written to.
        """
        finished = True
        if self.validator is not None:
            try:
                with self._averaged(), self.accelerator.autocast():
                    validation = self.validator.validate(self.modules, step, observer.should_stop)
            except Interrupted:
                finished = False
            else:
                self._keep(validation)
                observer.on_validation(validation)
        self.accelerator.wait_for_everyone()
        return finished

    def _keep(self, validation: Validation) -> None:
        """Write a validation's strip, its log line and, if no earlier plan was better, its adapter."""
        file = strip_file(self.out, validation.step)
        with self._writing(f"The validation of step {validation.step}"):
            with whole_file(file) as temporary:
                validation.strip.save(temporary, "PNG")
            if validation.layout_iou > self.best_iou:
                self._write_adapter(BEST_FILE, validation.step, layout_iou=validation.layout_iou)
                self.best_iou = validation.layout_iou
        self._record(validation.step, {"layout_iou": validation.layout_iou})

    def save(self, step: int) -> None:
        """Write the state and the adapter under temporary names, rename them, then remove the oldest states.

        Raises:
            GoTError: the disk is full or cannot be written to; earlier states are untouched.
        """
        target = self.out / f"state-{STAGE}-{step}"
        temporary = target.with_name(target.name + ".part")
        accelerator = self.accelerator
        try:
            with self._writing(f"The state of step {step}"):
                if accelerator.is_main_process:
                    shutil.rmtree(temporary, ignore_errors=True)
                accelerator.wait_for_everyone()
                if not target.exists():
                    accelerator.save_state(str(temporary))
                    accelerator.wait_for_everyone()
                    if accelerator.is_main_process:
                        os.replace(temporary, target)
                if accelerator.is_main_process:
                    self._write_adapter(ADAPTER_FILE, step)
                    for folder in states(self.out, STAGE)[: -self.config.states_kept]:
                        shutil.rmtree(folder)
        except GoTError:
            shutil.rmtree(temporary, ignore_errors=True)
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
            GoTError: the files written in this context could not be written.
        """
        try:
            yield
        except (UnwritableError, OSError, RuntimeError, SafetensorError) as error:  # RuntimeError: torch
            reason = error.__cause__ if isinstance(error, UnwritableError) else error
            raise GoTError(
                f"{what} cannot be written to {self.out}: {reason}. {self._last_good()} Free some disk "
                "space and resume."
            ) from error

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Within this context the weights are their average over the steps, if there is one."""
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
        """Hook of `save_state`: saves trained parameters only, not gigabytes of frozen weights."""
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
