"""The checkpoint folder: its settings, and validation of all its parts from headers alone.

    got.json               settings (`CheckpointSettings`)
    mllm/                  transformers: Qwen2_5_VLForConditionalGeneration
    processor/             tokenizer, chat template, image processor
    projectors.safetensors output_projector.*, output_projector_add.*
    unet/ vae/ scheduler/  diffusers

Weights are safetensors only: pickled `.bin` and `.ckpt` files can execute code when opened.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open

from ..chain.vocabulary import Vocabulary, read_vocabulary
from ..constants import EXACT, SPEEDS
from ..diffusion.box_masks import MASK_RULES
from ..diffusion.guidance import LATENT_CHANNELS, MAX_SIDE, MIN_SIDE, VAE_FACTOR
from ..errors import GoTError, short_repr
from ..files.entries import Config, Kind, check_entries, multiple_of, number, one_of, whole
from ..files.json_objects import read_json
from ..files.whole_files import write_whole
from ..mllm.prompts import IMAGE_TOKENS
from .configs import (
    GENERATION,
    TOKENIZER,
    WIDTH,
    check_mllm,
    check_processor,
    check_scheduler,
    check_unet,
    check_vae,
)

FORMAT_VERSION = 1
SETTINGS_FILE = "got.json"
PROJECTORS_FILE = "projectors.safetensors"
UNET_CHANNELS = 3 * LATENT_CHANNELS  # noisy latents, reference, spatial
WEIGHT_FILES = {"mllm": "model", "unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
MAX_NAMED = 20  # files in a message; an index may list many
TIME_IDS = 6  # original height and width, crop top and left, target height and width

SETTINGS = {
    "format_version": whole(1, FORMAT_VERSION),
    "vision_size": whole(14, 4096),
    "max_new_tokens": whole(1, 100_000),
    "mask_rule": one_of(*MASK_RULES),
    "speed": one_of(*SPEEDS),
}
SIZES = {
    "hidden": WIDTH,
    "cross_attention": WIDTH,
    "pooled": WIDTH,
    "image_tokens": one_of(len(IMAGE_TOKENS)),
}
SIDE = multiple_of(VAE_FACTOR, MIN_SIDE, MAX_SIDE)
TASK = {
    **dict.fromkeys(("semantic", "spatial", "reference"), number(-100, 100)),
    "steps": whole(1, 100_000),
    **dict.fromkeys(("width", "height"), SIDE),
}

Shapes = dict[str, tuple[int, ...]]
Settings = TypeVar("Settings", "TaskSettings", "Sizes")


@dataclass(frozen=True)
class TaskSettings:
    """Defaults of one task: guidance scales, denoising steps, the picture's width and height in pixels."""

    semantic: float
    spatial: float
    reference: float
    steps: int
    width: int
    height: int


@dataclass(frozen=True)
class Sizes:
    """Widths that the parts must agree on, and the number of image tokens."""

    hidden: int
    cross_attention: int
    pooled: int
    image_tokens: int = 64


@dataclass(frozen=True)
class CheckpointSettings:
    """The content of got.json.

    `vision_size`: side of the picture for the vision tower, in pixels. `mask_rule`: one of MASK_RULES; a
    got.json without it, as in the first version, means the published one. `speed`: at which one of SPEEDS the
    checkpoint draws where nothing is said; `exact` unless it has been measured to obey at another as well.
    `vocabulary`: what a checkpoint knows that has learned little; most have none.
    """

    vision_size: int
    max_new_tokens: int
    sizes: Sizes
    tasks: dict[str, TaskSettings]
    format_version: int = FORMAT_VERSION
    mask_rule: str = MASK_RULES[0]
    speed: str = EXACT
    vocabulary: Vocabulary | None = None


def write_settings(path: str | Path, settings: CheckpointSettings) -> None:
    """Write got.json into the checkpoint folder."""
    entries = {key: value for key, value in asdict(settings).items() if value is not None}
    content = json.dumps(entries, indent=2, ensure_ascii=False) + "\n"
    write_whole(Path(path) / SETTINGS_FILE, content.encode())


def read_settings(path: str | Path) -> CheckpointSettings:
    """Read a checkpoint folder's got.json.

    Raises:
        GoTError: missing, not JSON, a missing or unknown entry, or written by a newer version.
    """
    file = Path(path) / SETTINGS_FILE
    values = read_json(file)
    version = values.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise GoTError(
            f"{file} has format version {version}; this program reads up to {FORMAT_VERSION}. Update it."
        )
    check_entries(file, values, SETTINGS, ("format_version", "vision_size", "max_new_tokens"))
    tasks = values.get("tasks")
    if not isinstance(tasks, dict) or set(tasks) != {"generate", "edit"}:
        raise GoTError(
            f"{file}: 'tasks' must hold the entries 'generate' and 'edit', got {short_repr(tasks)}."
        )
    return CheckpointSettings(
        vision_size=values["vision_size"],
        max_new_tokens=values["max_new_tokens"],
        sizes=_numbers(Sizes, SIZES, values.get("sizes"), file, "'sizes'"),
        tasks={name: _numbers(TaskSettings, TASK, tasks[name], file, f"the task {name!r}") for name in tasks},
        format_version=values["format_version"],
        mask_rule=values.get("mask_rule", MASK_RULES[0]),
        speed=values.get("speed", EXACT),
        vocabulary=read_vocabulary(file, values["vocabulary"]) if "vocabulary" in values else None,
    )


def check(path: str | Path) -> CheckpointSettings:
    """Check that a checkpoint folder is complete and its parts fit together; only headers are read.

    Returns:
        The folder's settings.

    Raises:
        GoTError: missing or truncated files, or mismatched widths; names the key and both shapes.
    """
    folder = Path(path)
    if not os.path.isdir(folder):
        raise GoTError(f"There is no checkpoint folder {folder}.")
    _check_files(folder)
    settings = read_settings(folder)
    sizes = settings.sizes
    mllm, unet, vae = _check_configs(folder, settings)
    embedding = unet["projection_class_embeddings_input_dim"]
    _check_shapes(
        folder / PROJECTORS_FILE,
        read_shapes(folder / PROJECTORS_FILE),
        {
            "output_projector.projector.weight": (sizes.cross_attention, sizes.hidden),
            "output_projector.projector.bias": (sizes.cross_attention,),
            "output_projector_add.projector.weight": (sizes.pooled, sizes.hidden),
            "output_projector_add.projector.bias": (sizes.pooled,),
        },
    )
    unet_widths, vae_widths = unet["block_out_channels"], vae["block_out_channels"]
    _check_shapes(
        folder / "unet",
        part_shapes(folder / "unet"),
        {
            "conv_in.weight": (unet_widths[0], UNET_CHANNELS, 3, 3),
            "add_embedding.linear_1.weight": (4 * unet_widths[0], embedding),
            "conv_out.weight": (LATENT_CHANNELS, unet_widths[0], 3, 3),
        },
    )
    _check_shapes(
        folder / "vae",
        part_shapes(folder / "vae"),
        {
            "encoder.conv_in.weight": (vae_widths[0], 3, 3, 3),
            "decoder.conv_in.weight": (vae_widths[-1], LATENT_CHANNELS, 3, 3),
        },
    )
    shapes = part_shapes(folder / "mllm")
    key = next((name for name in shapes if name.endswith("embed_tokens.weight")), "embed_tokens.weight")
    vocabulary = mllm.get("text_config", mllm).get("vocab_size")
    _check_shapes(folder / "mllm", shapes, {key: (vocabulary, sizes.hidden)})
    return settings


def _check_configs(folder: Path, settings: CheckpointSettings) -> tuple[Config, Config, Config]:
    """Check all config files, and return those of the MLLM, the UNet and the VAE.

    Raises:
        GoTError: an invalid entry, or one that does not match the other parts.
    """
    sizes = settings.sizes
    files = {part: folder / part / "config.json" for part in WEIGHT_FILES}
    mllm, unet, vae = (read_json(file) for file in files.values())
    text = mllm.get("text_config", mllm)
    if isinstance(text, dict):
        _check_value(files["mllm"], "hidden_size", sizes.hidden, text.get("hidden_size"))
    check_mllm(files["mllm"], mllm, sizes.hidden)
    check_unet(files["unet"], unet)
    key = "projection_class_embeddings_input_dim"
    for name, needed in (
        ("addition_embed_type", "text_time"),
        ("in_channels", UNET_CHANNELS),
        ("cross_attention_dim", sizes.cross_attention),
        (key, sizes.pooled + TIME_IDS * unet["addition_time_embed_dim"]),
    ):
        _check_value(files["unet"], name, needed, unet.get(name))
    _check_value(files["vae"], "latent_channels", LATENT_CHANNELS, vae.get("latent_channels"))
    check_vae(files["vae"], vae)
    scheduler = folder / "scheduler/scheduler_config.json"
    schedule = read_json(scheduler)
    check_scheduler(scheduler, schedule)
    for name, task in settings.tasks.items():
        most = schedule["num_train_timesteps"]
        if task.steps > most:
            raise GoTError(
                f"{folder / SETTINGS_FILE}: the task {name!r} may have {most} steps, got {task.steps}."
            )
    for name, kinds in (("mllm/generation_config", GENERATION), ("processor/tokenizer_config", TOKENIZER)):
        check_entries(folder / f"{name}.json", read_json(folder / f"{name}.json"), kinds)
    processor = folder / "processor/preprocessor_config.json"
    check_processor(processor, read_json(processor), mllm["vision_config"], settings.vision_size)
    return mllm, unet, vae


def read_index(index: Path) -> list[str]:
    """The names of the weight files listed in an index, `<weights>.index.json`; they need not exist.

    Raises:
        GoTError: the index is invalid, or names files outside its folder.
    """
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise GoTError(f"{index} must hold a 'weight_map' from tensors to files. Download it again.")
    names = sorted(set(weight_map.values()))
    outside = [name for name in names if name in ("", ".", "..") or {*"/\\:\0"} & {*name}]
    if outside:
        raise GoTError(f"{index} names files outside its folder: {', '.join(outside)}. Do not trust it.")
    return names


def read_shapes(file: Path) -> Shapes:
    """The shape of every tensor in a safetensors file, from its header. A truncated file is an error."""
    try:
        with safe_open(str(file), framework="np") as tensors:
            return {key: tuple(tensors.get_slice(key).get_shape()) for key in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise GoTError(f"{file} is truncated or not a safetensors file ({error}); copy it again.") from error


def part_shapes(folder: Path) -> Shapes:
    """The shape of every tensor of one part, across all its weight files."""
    shapes: Shapes = {}
    for file in sorted(folder.glob("*.safetensors")):
        if os.path.isfile(file):
            shapes |= read_shapes(file)
    return shapes


def _check_files(folder: Path) -> None:
    required = [
        SETTINGS_FILE,
        "mllm/config.json",
        "mllm/generation_config.json",
        "processor/tokenizer_config.json",
        "processor/preprocessor_config.json",
        PROJECTORS_FILE,
        "unet/config.json",
        "vae/config.json",
        "scheduler/scheduler_config.json",
    ]
    missing = [name for name in required if not os.path.isfile(folder / name)]
    for part, stem in (
        ("mllm", "model"),
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
    ):
        index = folder / part / f"{stem}.safetensors.index.json"
        if os.path.isfile(index):
            missing += [
                f"{part}/{shard}" for shard in read_index(index) if not os.path.isfile(index.parent / shard)
            ]
        elif not os.path.isfile(folder / part / f"{stem}.safetensors"):
            missing.append(f"{part}/{stem}.safetensors")
    if missing:
        places = ("*.bin", *(f"{part}/*.bin" for part in WEIGHT_FILES))
        pickles = sorted(str(file.relative_to(folder)) for place in places for file in folder.glob(place))
        advice = f" Pickled weights ({', '.join(pickles)}) are not accepted; convert them." if pickles else ""
        more = f" and {len(missing) - MAX_NAMED} more files" if len(missing) > MAX_NAMED else ""
        named = ", ".join(missing[:MAX_NAMED])
        raise GoTError(f"The checkpoint folder {folder} lacks {named}{more}.{advice}")


def _check_value(file: Path, key: str, expected: object, received: object) -> None:
    if received != expected:
        raise GoTError(
            f"{file}: {key} is {short_repr(received)}, but the other parts of the checkpoint need "
            f"{expected!r}."
        )


def _check_shapes(
    file: Path, shapes: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]
) -> None:
    for key, shape in expected.items():
        if key not in shapes:
            raise GoTError(f"{file} lacks the tensor {key} of shape {list(shape)}.")
        if shapes[key] != shape:
            raise GoTError(f"{file}: {key} has shape {list(shapes[key])}, but {list(shape)} is needed.")


def _numbers(
    kind: type[Settings], kinds: Mapping[str, Kind], values: object, file: Path, where: str
) -> Settings:
    """A dataclass of numbers from JSON; every entry must be present and of its type, and none unknown."""
    if not isinstance(values, dict) or set(values) != set(kinds):
        raise GoTError(f"{file}: {where} must hold exactly {', '.join(kinds)}; got {short_repr(values)}.")
    check_entries(file, values, kinds)
    return kind(**values)
