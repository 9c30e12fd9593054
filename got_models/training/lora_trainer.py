"""Runs a LoRA training on accelerate, and continues exactly where it was stopped or killed.

The run's folder:

    run.json             the config, and digests of the dataset and of the checkpoint
    state-lora-<step>/   everything needed to go on; complete once it has this name
    losses.jsonl         one line per step
    adapter.safetensors  the result; until the end, that of the last state
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..adapter import save_adapter
from ..dataset.encoding import Encoder, weights_digest
from ..dataset.rows import CACHE_FOLDER, Dataset, read_dataset
from ..errors import GoTError
from ..model import GoTModel
from .lora import LoraModules
from .lora_config import LoraTraining, as_dictionary, differences
from .own_pictures import RowBatches
from .stages import step_seed
from .trainer import last_state, learning_rate_share, record, states, trim_log

STAGE = "lora"
RUN_FILE, LOG_FILE, ADAPTER_FILE = "run.json", "losses.jsonl", "adapter.safetensors"
TRAINED_FILE = "trained.safetensors"


@dataclass(frozen=True)
class Progress:
    """What a step has done: steps counted from 1, losses by name, the norm of the gradient."""

    step: int
    steps: int
    losses: dict[str, float]
    gradient_norm: float


@dataclass(frozen=True)
class Validation:
    """What the model makes, after `step` steps, of rows that it is not trained on.

    `layout_iou`: from 0 to 1, how well the boxes that it plans lie on the rows' own. `strip`: up to four
    pictures of the model with its plan, above the rows' own with theirs.
    """

    step: int
    layout_iou: float
    strip: Image.Image


def train_lora(
    config: LoraTraining,
    *,
    resume: bool = False,
    changed_dataset: bool = False,
    stop_after_steps: int | None = None,
    on_encode: Callable[[int, int], None] = lambda done, total: None,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_validation: Callable[[Validation], None] = lambda validation: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Path | None:
    """Train an adapter on one's own pictures.

    Args:
        resume: go on with the run in the config's folder; without it the folder must not hold one.
        changed_dataset: go on although the dataset has changed since the run began.
        stop_after_steps: save and stop after this many steps of this call.
        on_encode: told after each row how many of all rows are encoded.
        on_step: told after each step, in every process.
        on_validation: told after each validation, in the main process.
        should_stop: asked before every step, and while validating; True saves and stops.

    Returns:
        The adapter's file, or None when stopped before the end.

    Raises:
        GoTError: the folder holds a run or none to resume, the dataset or the checkpoint cannot be used or
            has changed, the losses are no longer numbers, or the disk is full. The last state stays.
    """
    out = Path(config.out)
    accelerator = Accelerator(mixed_precision="bf16" if config.precision == "bfloat16" else "no")
    _check_folder(out, resume)
    accelerator.wait_for_everyone()
    if config.batches_per_step % accelerator.num_processes:
        raise GoTError(
            f"batches_per_step must be a multiple of the number of processes, {accelerator.num_processes}; "
            f"got {config.batches_per_step}."
        )
    dataset = read_dataset(config.dataset).usable(config.leave_out_bad_rows)
    if accelerator.is_main_process:
        _begin(out, _description(config, dataset), changed_dataset)
    accelerator.wait_for_everyone()

    dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    model = GoTModel.from_pretrained(config.checkpoint, accelerator.device, dtype)
    encoder = Encoder(model, config.resolution_px, Path(config.cache or dataset.folder / CACHE_FOLDER))
    with accelerator.main_process_first():
        for done, row in enumerate(dataset.rows, start=1):
            if should_stop():
                return None
            encoder.encode(row)
            on_encode(done, len(dataset.rows))
    vars(model).pop("vae", None)  # everything it makes is in the cache now
    batches = RowBatches(dataset.rows, encoder, model, config.batch_rows, config.seed)
    run = _Run(config, out, accelerator, LoraModules(model, config))

    start = run.load()
    last = config.steps if stop_after_steps is None else min(config.steps, start + stop_after_steps)
    for step in range(start, last):
        if should_stop():
            run.save(step)
            return None
        if step > start and step % config.save_every_steps == 0:
            run.save(step)
        on_step(run.step(step, batches))
    run.save(last)
    return out / ADAPTER_FILE if last == config.steps else None


class _Run:
    """The state of a training: modules, optimizer, schedule, average; one step, saving and loading."""

    def __init__(
        self, config: LoraTraining, out: Path, accelerator: Accelerator, modules: LoraModules
    ) -> None:
        self.config = config
        self.out = out
        self.accelerator = accelerator
        optimizer = torch.optim.AdamW(
            modules.parameter_groups(),
            betas=(config.adam_beta1, config.adam_beta2),
            eps=config.adam_epsilon,
            weight_decay=config.weight_decay,
        )
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
            self._record(step, {name: round(value, 5) for name, value in means.items()})
        return Progress(step + 1, config.steps, means, norm)

    def load(self) -> int:
        """Take up the newest complete state, if there is one; the number of the next step."""
        state = last_state(self.out, STAGE)
        start = 0
        if state is not None:
            self.accelerator.load_state(str(state))
            start = int(state.name.rsplit("-", 1)[1])
        if self.accelerator.is_main_process:
            trim_log(self.out / LOG_FILE, STAGE, start)
        self.accelerator.wait_for_everyone()
        return start

    def save(self, step: int) -> None:
        """Write the state and the adapter beside and rename them, then remove the oldest states.

        Raises:
            GoTError: the disk is full or cannot be written to; the states before are untouched.
        """
        target = self.out / f"state-{STAGE}-{step}"
        beside = target.with_name(target.name + ".part")
        accelerator = self.accelerator
        try:
            if accelerator.is_main_process:
                shutil.rmtree(beside, ignore_errors=True)
            accelerator.wait_for_everyone()
            if not target.exists():
                accelerator.save_state(str(beside))
                accelerator.wait_for_everyone()
                if accelerator.is_main_process:
                    os.replace(beside, target)
            if accelerator.is_main_process:
                self._write_adapter(step)
                for folder in states(self.out, STAGE)[: -self.config.states_kept]:
                    shutil.rmtree(folder)
        except (OSError, RuntimeError, SafetensorError) as error:  # torch reports a full disk as RuntimeError
            shutil.rmtree(beside, ignore_errors=True)
            raise GoTError(
                f"The state of step {step} cannot be written to {self.out}: {error}. {self._last_good()} "
                "Make room and resume."
            ) from error
        accelerator.wait_for_everyone()

    def _record(self, step: int, losses: dict[str, float]) -> None:
        try:
            record(self.out / LOG_FILE, {"stage": STAGE, "step": step, **losses})
        except OSError as error:
            raise GoTError(
                f"{self.out / LOG_FILE} cannot be written to: {error.strerror}. {self._last_good()} Make "
                "room and resume."
            ) from error

    def _write_adapter(self, step: int) -> None:
        modules = self.modules
        if self.average is not None:
            self.average.store(modules.trained())
            self.average.copy_to(modules.trained())
        try:
            save_adapter(self.out / ADAPTER_FILE, modules.adapter({"steps": step}))
        finally:
            if self.average is not None:
                self.average.restore(modules.trained())

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


def _check_folder(out: Path, resume: bool) -> None:
    begun = (out / RUN_FILE).exists()
    if begun and not resume:
        raise GoTError(f"{out} already holds a training run: resume it, or choose another folder.")
    if resume and not begun:
        raise GoTError(f"{out} holds no training run to resume; start one there without resuming.")


def _description(config: LoraTraining, dataset: Dataset) -> dict[str, Any]:
    """What must stay the same for a run to go on."""
    checkpoint = Path(config.checkpoint)
    GoTModel.from_pretrained(checkpoint)  # says what is wrong with the folder
    parts = [weights_digest(checkpoint / part) for part in ("mllm", "unet", "vae")]
    return {"config": as_dictionary(config), "dataset": dataset.digest, "checkpoint": parts}


def _begin(out: Path, description: dict[str, Any], changed_dataset: bool) -> None:
    """Write run.json, or compare with the one that is there.

    Raises:
        GoTError: the config, the checkpoint or the dataset is not what the run began with.
    """
    file = out / RUN_FILE
    if file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        changed = differences(before["config"], description["config"])
        if changed:
            raise GoTError(
                f"The config has changed since the run in {out} began: {'; '.join(changed)}. Change it back, "
                "or start another run."
            )
        if before["checkpoint"] != description["checkpoint"]:
            raise GoTError(f"The checkpoint's weights have changed since the run in {out} began.")
        if before["dataset"] == description["dataset"]:
            return
        if not changed_dataset:
            raise GoTError(
                f"The dataset has changed since the run in {out} began: resumed, it will not be the run that "
                "it was. Change it back, or add --changed-dataset to go on with it as it is now."
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".part")
        beside.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        os.replace(beside, file)
    except OSError as error:
        raise GoTError(f"{out} cannot be written to: {error.strerror}. Choose another folder.") from error
