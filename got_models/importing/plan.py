"""Planning an import from headers and settings alone, before anything is written."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor

from ..diffusion.ssgm import SemanticSpatialGuidance
from ..errors import GoTError
from ..files.entries import check_entries
from ..files.json_objects import read_json
from ..weights.checkpoint import TIME_IDS, UNET_CHANNELS, Shapes, Sizes
from ..weights.configs import (
    GENERATION,
    TOKENIZER,
    check_mllm,
    check_processor,
    check_scheduler,
    check_unet,
    check_vae,
    known_mllm,
)
from ..weights.names import plain_mllm_name
from .folders import GOT, QWEN, SDXL, PublishedFolders
from .names import BASE, LORA_A, LORA_B, PARTS, PROJECTORS, Recipe, gather
from .processor import Processor, read_processor
from .shards import PublishedWeights

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
MAX_LISTED = 20  # tensors in a message; a wrong folder has hundreds
VISION_SIZE = 448  # side of the picture for the vision tower, in pixels, as in the published inference code
PIECE = 1 << 24  # elements compared at a time

Config = dict[str, Any]


@dataclass(frozen=True)
class ImportPlan:
    """
    Attributes:
        configs: "mllm", "unet" and "vae" -> the content of its config.json.
        shapes: part -> name in the checkpoint -> shape.
        recipes: part -> name in the checkpoint -> its sources.
        scheduler: SDXL's noise schedule, as the DDPM scheduler of the published inference code.
    """

    configs: dict[str, Config]
    shapes: dict[str, Shapes]
    recipes: dict[str, dict[str, Recipe]]
    sizes: Sizes
    processor: Processor
    scheduler: DDPMScheduler


def make_plan(folders: PublishedFolders, weights: PublishedWeights) -> ImportPlan:
    """
    Raises:
        GoTError: tensors are missing, unexpected or of the wrong shape, all of which are listed; or a
            settings file is invalid.
    """
    recipes, unexpected = gather(weights.shapes)
    processor = read_processor(folders.qwen)
    configs = _configs(folders)
    text = configs["mllm"].get("text_config", configs["mllm"])
    text["vocab_size"] = _rows(weights, recipes["mllm"], processor.vocabulary_size)
    modules = _modules(folders, configs)
    shapes = {
        part: {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        for part, module in modules.items()
    }
    shapes["mllm"] = {plain_mllm_name(name): shape for name, shape in shapes["mllm"].items()}
    tied = bool(modules["mllm"].config.tie_word_embeddings)
    faults = _faults(weights.shapes, recipes, shapes, tied)
    faults["unexpected"] += unexpected
    if any(faults.values()):
        raise GoTError(
            f"{folders.got} cannot be imported. {_listed(faults)} What is expected follows from"
            f" {folders.qwen} and {folders.sdxl}: they must be {QWEN} and {SDXL}, and {GOT} complete."
        )
    if tied:
        _settle_head(weights, recipes["mllm"], configs["mllm"])
    for part in PARTS:
        shapes[part] = {name: shapes[part][name] for name in recipes[part]}  # in the order of the files
    schedule = folders.sdxl / "scheduler/scheduler_config.json"
    scheduler = _build(schedule, DDPMScheduler.from_config, read_json(schedule))
    return ImportPlan(configs, shapes, recipes, _sizes(modules[PROJECTORS]), processor, scheduler)


def _sizes(projectors: SemanticSpatialGuidance) -> Sizes:
    cross_attention, pooled = projectors.output_projector.projector, projectors.output_projector_add.projector
    return Sizes(cross_attention.in_features, cross_attention.out_features, pooled.out_features)


def _configs(folders: PublishedFolders) -> dict[str, Config]:
    configs = {
        "mllm": read_json(folders.qwen / "config.json"),
        "unet": read_json(folders.sdxl / "unet/config.json") | {"in_channels": UNET_CHANNELS},
        "vae": read_json(folders.sdxl / "vae/config.json"),
    }
    inner = [configs["mllm"].get(key, {}) for key in ("text_config", "vision_config")]
    if not all(isinstance(config, dict) for config in inner):
        raise GoTError(f"{folders.qwen / 'config.json'} must hold its inner configs as JSON objects.")
    for config in (*configs.values(), *inner):
        for key in ("_name_or_path", "dtype", "torch_dtype"):  # valid only for the folder that they come from
            config.pop(key, None)
    _check_configs(folders, configs)
    return configs


def _check_configs(folders: PublishedFolders, configs: dict[str, Config]) -> None:
    """Run the checkpoint's own check of its settings, hours before it would run after writing.

    Raises:
        GoTError: an invalid entry, or several that contradict each other.
    """
    mllm, file = configs["mllm"], folders.qwen / "config.json"
    check_mllm(file, mllm, mllm.get("text_config", mllm).get("hidden_size", 0))
    check_unet(folders.sdxl / "unet/config.json", configs["unet"])
    check_vae(folders.sdxl / "vae/config.json", configs["vae"])
    schedule = folders.sdxl / "scheduler/scheduler_config.json"
    check_scheduler(schedule, read_json(schedule))
    for name, kinds in (("generation_config", GENERATION), ("tokenizer_config", TOKENIZER)):
        check_entries(folders.qwen / f"{name}.json", read_json(folders.qwen / f"{name}.json"), kinds)
    processor = folders.qwen / "preprocessor_config.json"
    check_processor(processor, read_json(processor), mllm["vision_config"], VISION_SIZE)


def _rows(weights: PublishedWeights, recipes: dict[str, Recipe], tokens: int) -> int:
    """How many token embeddings the MLLM has: training may have added some, so GoT-6B decides, not Qwen."""
    shape = weights.shapes.get(recipes.get(EMBEDDING, {}).get(BASE, ""), ())
    if not shape or shape[0] < tokens:
        raise GoTError(
            f"The MLLM of {GOT} must have a tensor {EMBEDDING} with a row for each of the {tokens} tokens,"
            f" received {list(shape) or 'none'}. Is the tokenizer that of {QWEN}, and {GOT} complete?"
        )
    return shape[0]


def _build(file: Path, make: Callable[[Config], Any], config: Config) -> Any:
    """Call `make` with a copy of the config; errors name the config's file."""
    try:
        return make(copy.deepcopy(config))
    except Exception as error:  # a config can be invalid in as many ways as it has entries
        reason = " ".join(str(error).split())
        raise GoTError(f"{file} does not describe a model: {reason}. Download it again.") from error


def _modules(folders: PublishedFolders, configs: dict[str, Config]) -> dict[str, Any]:
    """Part -> its module without weights, for the names and shapes of its tensors."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    def make_mllm(config: Config) -> Any:
        return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig.from_dict(known_mllm(config)))

    def make_projectors(config: Config) -> SemanticSpatialGuidance:
        pooled = (
            config["projection_class_embeddings_input_dim"] - TIME_IDS * config["addition_time_embed_dim"]
        )
        hidden = mllm.config.get_text_config().hidden_size
        return SemanticSpatialGuidance(hidden, config["cross_attention_dim"], pooled)

    unet = folders.sdxl / "unet/config.json"
    with torch.device("meta"):
        mllm = _build(folders.qwen / "config.json", make_mllm, configs["mllm"])
        return {
            "mllm": mllm,
            PROJECTORS: _build(unet, make_projectors, configs["unet"]),
            "unet": _build(unet, UNet2DConditionModel.from_config, configs["unet"]),
            "vae": _build(folders.sdxl / "vae/config.json", AutoencoderKL.from_config, configs["vae"]),
        }


def _faults(
    received: Shapes, recipes: dict[str, dict[str, Recipe]], expected: dict[str, Shapes], tied: bool
) -> dict[str, list[str]]:
    """What prevents the recipes from producing the expected tensors: kind of fault -> descriptions."""
    faults: dict[str, list[str]] = {"missing": [], "unexpected": [], "of another shape": []}
    for part in PARTS:
        for name, shape in expected[part].items():
            recipe = recipes[part].get(name, {})
            label = name if part == PROJECTORS else f"{part}.{name}"
            lora = {LORA_A, LORA_B} & set(recipe)
            if BASE not in recipe and not (tied and name == HEAD and not lora):
                faults["missing"].append(f"{label} {list(shape)}{', the base of a LoRA' if lora else ''}")
            if len(lora) == 1:
                faults["missing"].append(f"{label}'s {({LORA_A, LORA_B} - lora).pop()}")
            needed = _shapes_of_roles(shape, received.get(recipe.get(LORA_A, ""), ()))
            faults["of another shape"] += [
                f"{key} (expected {needed.get(role, 'none')}, received {list(received[key])})"
                for role, key in recipe.items()
                if list(received[key]) != needed.get(role)
            ]
        for name in recipes[part].keys() - expected[part].keys():
            faults["unexpected"] += recipes[part][name].values()
    return faults


def _shapes_of_roles(shape: tuple[int, ...], lora_a: tuple[int, ...]) -> dict[str, list[int]]:
    """The shapes that a recipe for a tensor needs, given that of its LORA_A. Only matrices have LoRA."""
    needed = {BASE: list(shape)}
    if len(shape) == 2:
        rank = max(1, *lora_a[:1]) if lora_a else 1
        needed |= {LORA_A: [rank, shape[1]], LORA_B: [shape[0], rank]}
    return needed


def _listed(faults: dict[str, list[str]]) -> str:
    """A text for people: `Missing (2): a [3], b [4, 5]. Unexpected (1): c.`"""
    sentences = []
    for kind, entries in faults.items():
        if entries:
            more = len(entries) - MAX_LISTED
            listed = ", ".join(sorted(entries)[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
            sentences.append(f"{kind.capitalize()} ({len(entries)}): {listed}.")
    return " ".join(sentences)


def _settle_head(weights: PublishedWeights, recipes: dict[str, Recipe], config: Config) -> None:
    """Qwen ties the output layer to the embedding. If PEFT has trained them separately, both are kept."""
    if HEAD not in recipes:
        return
    head, embedding = recipes[HEAD], recipes[EMBEDDING]
    if set(head) == set(embedding) == {BASE} and _equal(
        weights.tensor(head[BASE]), weights.tensor(embedding[BASE])
    ):
        del recipes[HEAD]
        return
    for level in (config, config.get("text_config", config)):
        level["tie_word_embeddings"] = False


def _equal(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors of one shape are equal, without copying either of them in memory."""
    pieces = zip(first.reshape(-1).split(PIECE), second.reshape(-1).split(PIECE), strict=True)
    return all(torch.equal(one, other) for one, other in pieces)
