"""The checkpoint folder: its settings, and a check of all its parts from headers alone, before weights load.

    got.json               settings (`CheckpointSettings`)
    mllm/                  transformers: Qwen2_5_VLForConditionalGeneration
    processor/             tokenizer, chat template, image processor
    projectors.safetensors output_projector.*, output_projector_add.*
    unet/ vae/ scheduler/  diffusers

Weights are safetensors only: pickled `.bin` and `.ckpt` files can run code when they are opened.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open

from .errors import GoTError, short_repr
from .guidance import LATENT_CHANNELS, VAE_FACTOR
from .ssgm import MASK_RULES
from .whole_files import write_whole

FORMAT_VERSION = 1
SETTINGS_FILE = "got.json"
PROJECTORS_FILE = "projectors.safetensors"
UNET_CHANNELS = 3 * LATENT_CHANNELS  # noisy latents, reference, spatial
WEIGHT_FILES = {"mllm": "model", "unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
TIME_IDS = 6  # original height and width, crop top and left, target height and width

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
    """Widths on which the parts must agree, and the number of image tokens."""

    hidden: int
    cross_attention: int
    pooled: int
    image_tokens: int = 64


@dataclass(frozen=True)
class CheckpointSettings:
    """The content of got.json.

    `vision_size`: side of the picture for the vision tower, in pixels. `mask_rule`: one of MASK_RULES; a
    got.json without it, as all were at first, means the published one.
    """

    vision_size: int
    max_new_tokens: int
    sizes: Sizes
    tasks: dict[str, TaskSettings]
    format_version: int = FORMAT_VERSION
    mask_rule: str = MASK_RULES[0]


def write_settings(path: str | Path, settings: CheckpointSettings) -> None:
    """Write got.json into the checkpoint folder."""
    content = json.dumps(asdict(settings), indent=2) + "\n"
    write_whole(Path(path) / SETTINGS_FILE, content.encode())


def read_settings(path: str | Path) -> CheckpointSettings:
    """Read got.json of the checkpoint folder.

    Raises:
        GoTError: missing, not JSON, a missing or unknown entry, or written by a newer version.
    """
    file = Path(path) / SETTINGS_FILE
    values = read_json(file)
    version = values.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise GoTError(f"{file}: 'format_version' must be a whole number from 1 on, got {version!r}.")
    if version > FORMAT_VERSION:
        raise GoTError(
            f"{file} has format version {version}; this program reads up to {FORMAT_VERSION}. Update it."
        )
    for key in ("vision_size", "max_new_tokens"):
        if not isinstance(values.get(key), int) or values[key] < 1:
            raise GoTError(f"{file}: {key!r} must be a whole number from 1 on, got {values.get(key)!r}.")
    mask_rule = values.get("mask_rule", MASK_RULES[0])
    if mask_rule not in MASK_RULES:
        raise GoTError(
            f"{file}: 'mask_rule' must be {' or '.join(map(repr, MASK_RULES))}, got {short_repr(mask_rule)}."
        )
    tasks = values.get("tasks")
    if not isinstance(tasks, dict) or set(tasks) != {"generate", "edit"}:
        raise GoTError(f"{file}: 'tasks' must hold the entries 'generate' and 'edit', got {tasks!r}.")
    return CheckpointSettings(
        vision_size=values["vision_size"],
        max_new_tokens=values["max_new_tokens"],
        sizes=_numbers(Sizes, values.get("sizes"), f"{file}: 'sizes'"),
        tasks={
            name: _numbers(TaskSettings, task, f"{file}: the task {name!r}") for name, task in tasks.items()
        },
        format_version=version,
        mask_rule=mask_rule,
    )


def check(path: str | Path) -> CheckpointSettings:
    """Check that a checkpoint folder is whole and that its parts fit together; nothing but headers is read.

    Returns:
        The folder's settings.

    Raises:
        GoTError: missing or truncated files, or widths that do not fit; names the key and both shapes.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise GoTError(f"There is no checkpoint folder {folder}.")
    _check_files(folder)
    settings = read_settings(folder)
    sizes = settings.sizes
    mllm, unet, vae = (read_json(folder / part / "config.json") for part in ("mllm", "unet", "vae"))

    hidden = mllm.get("text_config", mllm).get("hidden_size")
    _check_value(folder / "mllm/config.json", "hidden_size", sizes.hidden, hidden)
    config = folder / "unet/config.json"
    _check_value(config, "addition_embed_type", "text_time", unet.get("addition_embed_type"))
    _check_value(config, "in_channels", UNET_CHANNELS, unet.get("in_channels"))
    _check_value(config, "cross_attention_dim", sizes.cross_attention, unet.get("cross_attention_dim"))
    embedding = sizes.pooled + TIME_IDS * int(unet.get("addition_time_embed_dim") or 0)
    key = "projection_class_embeddings_input_dim"
    _check_value(config, key, embedding, unet.get(key))
    config = folder / "vae/config.json"
    _check_value(config, "latent_channels", LATENT_CHANNELS, vae.get("latent_channels"))
    _check_value(config, "downsampling factor", VAE_FACTOR, 2 ** (len(vae.get("block_out_channels", [])) - 1))

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
    unet_widths, vae_widths = unet.get("block_out_channels", [0]), vae.get("block_out_channels", [0])
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


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        GoTError: the file cannot be read, is not JSON, or holds something else than an object.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise GoTError(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise GoTError(f"{file} is not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise GoTError(f"{file} must hold a JSON object, got {type(values).__name__}.")
    return values


def read_index(index: Path) -> list[str]:
    """The names of the weight files beside an index, `<weights>.index.json`; whether they exist is not asked.

    Raises:
        GoTError: the index cannot be used, or names files outside its folder.
    """
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise GoTError(f"{index} must hold a 'weight_map' from tensors to files. Download it again.")
    names = sorted(set(weight_map.values()))
    outside = [name for name in names if name in ("", ".", "..") or "/" in name or "\\" in name]
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
    """The shape of every tensor of one part, over all its weight files."""
    shapes: Shapes = {}
    for file in sorted(folder.glob("*.safetensors")):
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
    missing = [name for name in required if not (folder / name).is_file()]
    for part, stem in (
        ("mllm", "model"),
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
    ):
        index = folder / part / f"{stem}.safetensors.index.json"
        if index.is_file():
            missing += [
                f"{part}/{shard}" for shard in read_index(index) if not (index.parent / shard).is_file()
            ]
        elif not (folder / part / f"{stem}.safetensors").is_file():
            missing.append(f"{part}/{stem}.safetensors")
    if missing:
        pickles = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.bin"))
        advice = f" Pickled weights ({', '.join(pickles)}) are not accepted; convert them." if pickles else ""
        raise GoTError(f"The checkpoint folder {folder} lacks {', '.join(missing)}.{advice}")


def _check_value(file: Path, key: str, expected: object, received: object) -> None:
    if received != expected:
        raise GoTError(
            f"{file}: {key} is {received!r}, but the other parts of the checkpoint need {expected!r}."
        )


def _check_shapes(
    file: Path, shapes: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]
) -> None:
    for key, shape in expected.items():
        if key not in shapes:
            raise GoTError(f"{file} lacks the tensor {key} of shape {list(shape)}.")
        if shapes[key] != shape:
            raise GoTError(f"{file}: {key} has shape {list(shapes[key])}, but {list(shape)} is needed.")


def _numbers(kind: type[Settings], values: object, where: str) -> Settings:
    """A dataclass of numbers from JSON, with every entry present, of its type and none unknown."""
    names = {field.name: (int, float) if field.type == "float" else int for field in fields(kind)}
    if not isinstance(values, dict) or set(values) != set(names):
        raise GoTError(f"{where} must hold exactly {', '.join(names)}; got {values!r}.")
    for name, types in names.items():
        if isinstance(values[name], bool) or not isinstance(values[name], types):
            raise GoTError(f"{where}: {name!r} must be a number, got {values[name]!r}.")
    return kind(**values)
