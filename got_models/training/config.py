"""The config of a LoRA training, with units in its names; read from YAML, with every key validated."""

from __future__ import annotations

import contextlib
import difflib
import math
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from ..errors import GoTError, short_repr
from ..files.text_files import read_text
from ..files.yaml_mappings import read_yaml

WAYS = ("lora", "full", "frozen")
PRECISIONS = ("float32", "bfloat16")
OPTIMIZERS = ("adamw", "adamw-8bit")
PICTURES, DISTILL = OBJECTIVES = ("pictures", "distill")


@dataclass(frozen=True)
class MllmPart:
    """LoRA on the MLLM's decoder; the embeddings of GoT's tokens are trained with it.

    `new_words`: words that the MLLM has never seen, whose token embeddings are trained too (Qwen2.5-VL has
    seen every word). Each maps to known words, separated by spaces, whose mean initializes it, as in Textual
    Inversion (arXiv 2208.01618, section 4.1), or to none. `new_words_learning_rate`: for these embeddings.
    """

    rank: int = 32
    alpha: float = 32.0
    dropout: float = 0.05
    learning_rate: float = 5e-5
    new_words_learning_rate: float = 5e-3
    new_words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UnetPart:
    """How the UNet is trained: `lora` on its attention and feed-forward layers, `full`, or `frozen`.

    `convolutions`: LoRA on the convolutions as well.
    """

    train: str = "lora"
    rank: int = 32
    alpha: float = 32.0
    convolutions: bool = False
    learning_rate: float = 5e-5


@dataclass(frozen=True)
class Distillation:
    """How a checkpoint teaches a LoRA to draw as it does under its full guidance, in few steps of one branch.

    The teacher draws each plan `noises_per_plan` times, each time from other noise, in `teacher_steps` steps;
    the student learns to do the same in `steps`, of which the teacher's are a multiple.
    """

    steps: int = 4
    teacher_steps: int = 16
    noises_per_plan: int = 4


@dataclass(frozen=True)
class LoraTraining:
    """A complete training. Adam, losses, noise offset and conditioning dropout are the paper's.

    `objective`: `pictures` learns a dataset; `distill` learns, from `prompts` alone, to draw as the
    checkpoint itself does, in fewer evaluations. It trains a LoRA on the UNet and nothing else.

    A learning rate of 0 freezes a part.

    A step uses `batch_rows` times `batches_per_step` rows, whatever the number of processes. `precision`
    applies to the frozen weights and to the computation; trained parameters are always float32. `fp8_base`
    stores the frozen weights of the MLLM's decoder and of the UNet in int8, in half the memory of bfloat16;
    its name dates from when these were fp8. A UNet that is trained in full is not quantized.

    Before training, the model plans and draws `preserved_rows` of the dataset's prompts with known words in
    place of new ones, and is trained on these rows as well, so that it forgets less: prior preservation as in
    DreamBooth (arXiv 2208.12242, section 3.2).

    The dataset's last `validation_rows` rows are held out. Every `validate_every_steps` steps
    (0: never) the model plans them, and draws some of them. `validation_steps` is the number of denoising
    steps for these pictures and for the preserved ones.
    """

    checkpoint: str
    dataset: str
    out: str
    objective: str = PICTURES
    prompts: str = ""
    distill: Distillation = field(default_factory=Distillation)
    seed: int = 0
    steps: int = 2000
    warmup_steps: int = 100
    batch_rows: int = 1
    batches_per_step: int = 4
    resolution_px: int = 1024
    timesteps_per_picture: int = 1
    precision: str = "bfloat16"
    fp8_base: bool = False
    gradient_checkpointing: bool = True
    leave_out_bad_rows: bool = False
    preserved_rows: int = 0
    cache: str = ""
    mllm: MllmPart = field(default_factory=MllmPart)
    unet: UnetPart = field(default_factory=UnetPart)
    projectors_learning_rate: float = 5e-5
    chain_weight: float = 1.0
    diffusion_weight: float = 1.0
    largest_timestep_weight: float = 1.0
    noise_offset: float = 0.1
    conditioning_dropout: float = 0.05
    adam_beta1: float = 0.9
    adam_beta2: float = 0.98
    adam_epsilon: float = 1e-6
    weight_decay: float = 0.05
    optimizer: str = "adamw"
    gradient_clip_norm: float = 1.0
    ema_decay: float = 0.0
    save_every_steps: int = 250
    states_kept: int = 2
    validation_rows: int = 0
    validate_every_steps: int = 0
    validation_steps: int = 20


PRESETS: dict[str, dict[str, Any]] = {
    "lora-12gb": {
        "resolution_px": 512,
        "batches_per_step": 8,
        "fp8_base": True,
        "mllm": {"rank": 16, "alpha": 16.0},
        "unet": {"rank": 16, "alpha": 16.0},
    },
    "lora-24gb": {},
    "paper": {
        "steps": 10_000,
        "warmup_steps": 200,
        "batches_per_step": 128,
        "unet": {"train": "full"},
        "ema_decay": 0.9999,
    },
    "distill-24gb": {
        "objective": DISTILL,
        "steps": 4000,
        "batches_per_step": 8,
        "unet": {"rank": 64, "alpha": 64.0, "learning_rate": 1e-4},
        "ema_decay": 0.99,
    },
}
"""The values that each preset changes from the defaults; a config selects one with `preset`."""

AT_LEAST_ONE = {
    "steps",
    "batch_rows",
    "batches_per_step",
    "timesteps_per_picture",
    "save_every_steps",
    "states_kept",
    "validation_steps",
    "rank",
    "teacher_steps",
    "noises_per_plan",
}
HIGHEST = {"seed": 2**64 - 1, "rank": 4096, "batch_rows": 4096, "timesteps_per_picture": 4096}
MOST_STUDENT_STEPS = 64
MAX_INTEGER = 10**9  # of the other keys
SHARES = {"dropout", "conditioning_dropout", "ema_decay", "adam_beta1", "adam_beta2"}
MAX_FILE = 1_000_000  # bytes
CHOICES = {"objective": OBJECTIVES, "train": WAYS, "precision": PRECISIONS, "optimizer": OPTIMIZERS}
PATHS = ("checkpoint", "dataset", "prompts", "out", "cache")
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def read_config(file: Path) -> LoraTraining:
    """Read a training's YAML; its paths are relative to the file's folder.

    Raises:
        GoTError: the file cannot be read, is not a YAML mapping, or holds an invalid key or value.
    """
    values = read_yaml(read_text(file, MAX_FILE), str(file))
    try:
        for key in PATHS:
            if isinstance(values.get(key), str) and values[key]:
                values[key] = str(file.parent / Path(values[key]).expanduser())
        return make_config(values)
    except RuntimeError as error:  # from expanduser: ~name of an unknown user
        raise GoTError(f"{file}: {error} Write the path out.") from error
    except GoTError as error:
        raise GoTError(f"{file}: {error}") from error


def make_config(values: dict[str, Any]) -> LoraTraining:
    """The config from a mapping: the other keys override the `preset`, which overrides the defaults.

    Raises:
        GoTError: an unknown preset or key, a missing one, a value of the wrong type or out of range,
            incomplete validation settings, or learning rates that are all 0.
    """
    values = dict(values)
    preset = values.pop("preset", None)
    if preset is not None and not (isinstance(preset, str) and preset in PRESETS):
        raise GoTError(f"There is no preset {short_repr(preset)}: expected one of {', '.join(PRESETS)}.")
    changes = PRESETS[preset] if preset else {}
    objective = _checked(values.get("objective", changes.get("objective", PICTURES)), str, "objective", "")
    distilling = objective == DISTILL
    needed = ("checkpoint", "prompts" if distilling else "dataset", "out")
    missing = [key for key in needed if not values.get(key)]
    if missing:
        raise GoTError(f"The config lacks {' and '.join(missing)}.")
    config = _changed(LoraTraining(checkpoint="", dataset="", out=""), changes, "")
    config = _changed(config, values, "")
    if bool(config.validation_rows) != bool(config.validate_every_steps):
        raise GoTError(
            "validation_rows and validate_every_steps go together: set both, or leave both at 0; got "
            f"{config.validation_rows} and {config.validate_every_steps}."
        )
    if distilling:
        _check_distillation(config)
    unet = config.unet.learning_rate if config.unet.train != "frozen" else 0
    words = config.mllm.new_words_learning_rate if config.mllm.new_words else 0
    if not any((config.mllm.learning_rate, words, config.projectors_learning_rate, unet)):
        raise GoTError("Every learning rate is 0, so nothing would be learned. Set one above 0.")
    return config


def _check_distillation(config: LoraTraining) -> None:
    """
    Raises:
        GoTError: the teacher's steps are no multiple of the student's, the UNet's LoRA would not be trained,
            or the config asks for something that needs pictures.
    """
    steps, teacher = config.distill.steps, config.distill.teacher_steps
    if not steps <= MOST_STUDENT_STEPS or teacher % steps:
        raise GoTError(
            f"distill.teacher_steps must be a multiple of distill.steps, which may be at most "
            f"{MOST_STUDENT_STEPS}; got {teacher} and {steps}."
        )
    if config.unet.train != "lora" or not config.unet.learning_rate:
        raise GoTError(
            "A distillation trains a LoRA on the UNet: set unet.train to lora, and a learning rate."
        )
    for key in ("dataset", "preserved_rows", "validation_rows"):
        if getattr(config, key):
            raise GoTError(f"A distillation learns from prompts, not from pictures: leave out {key}.")


def differences(first: dict[str, Any], second: dict[str, Any], where: str = "") -> list[str]:
    """What differs between two configs as dictionaries: "steps: 100 -> 200"."""
    found = []
    for key in sorted({*first, *second}):
        before, after = first.get(key), second.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{where}{key}.")
        elif before != after:
            found.append(f"{where}{key}: {short_repr(before)} -> {short_repr(after)}")
    return found


def as_dictionary(config: LoraTraining) -> dict[str, Any]:
    """The config as JSON-compatible values."""
    return asdict(config)


def without_paths(config: LoraTraining) -> dict[str, Any]:
    """The config without the trainer's local paths, for publication with the adapter."""
    return {key: value for key, value in asdict(config).items() if key not in PATHS}


def _changed(config: Any, values: dict[str, Any], where: str) -> Any:
    """A copy of a dataclass with some fields replaced, each validated."""
    types = get_type_hints(type(config))
    names = [entry.name for entry in fields(config)]
    new = {}
    for key, value in values.items():
        if key not in names:
            close = difflib.get_close_matches(str(key)[:60], names, n=1)
            advice = f"did you mean {where}{close[0]}?" if close else f"known are {', '.join(names)}."
            raise GoTError(f"Unknown key {where}{key!s:.60}: {advice}")
        if is_dataclass(types[key]):
            if not isinstance(value, dict):
                raise GoTError(f"{where}{key} must hold keys of its own, got {short_repr(value)}.")
            new[key] = _changed(getattr(config, key), value, f"{where}{key}.")
        else:
            new[key] = _checked(value, types[key], key, where)
    return replace(config, **new)


def _checked(value: Any, kind: Any, key: str, where: str) -> Any:
    if kind == dict[str, str]:
        texts = isinstance(value, dict) and all(
            isinstance(text, str) for pair in value.items() for text in pair
        )
        if not texts or not all(word.strip() for word in value):
            raise GoTError(
                f"{where}{key} must hold words, each with the known words that it is like, such as "
                f"'teal: blue green' or 'teal: \"\"', got {short_repr(value)}."
            )
        return dict(value)
    if kind is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):  # YAML parses 1e-4, without a point, as a string
            value = float(value)
    if type(value) is not kind:
        hint = " (YAML reads yes, no, on and off as true or false)" if isinstance(value, bool) else ""
        raise GoTError(f"{where}{key} must be {WORDS[kind]}, got {short_repr(value)}{hint}.")
    if key in CHOICES and value not in CHOICES[key]:
        raise GoTError(f"{where}{key} must be one of {', '.join(CHOICES[key])}, got {short_repr(value)}.")
    if kind in (int, float):
        low = 1 if key in AT_LEAST_ONE else 0
        high = 0.999999 if key in SHARES else math.inf
        if kind is int:
            high = HIGHEST.get(key, MAX_INTEGER)
        if not low <= value <= high or math.isinf(value):
            span = f"from {low} to {high}" if math.isfinite(high) else f"of at least {low}, and finite"
            raise GoTError(f"{where}{key} must be a number {span}, got {short_repr(value)}.")
    if key == "resolution_px" and (value % 8 or not 64 <= value <= 2048):
        raise GoTError(f"{where}{key} must be a multiple of 8 from 64 to 2048, got {value}.")
    return value
