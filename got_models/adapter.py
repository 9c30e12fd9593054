"""Adapters: what a LoRA training has changed, in one safetensors file, and how a model takes it up.

The file's tensors, for a module `<name>` of the part:

    mllm.<name>.lora_A, mllm.<name>.lora_B    factors of the change of its weight, `mllm_scale` B A
    unet.<name>.lora_A, unet.<name>.lora_B    the same for the UNet, with `unet_scale`
    mllm.special_tokens                       change of the embeddings of GoT's 66 tokens, in their order
    mllm.words, mllm.word_ids                 change of the embeddings of other tokens, and their ids
    projectors.<name>, unet.<name>            change of a weight that was trained in full

All are changes, so that a strength multiplies them: 0 leaves the checkpoint as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import GoTError
from .prompts import SPECIAL_TOKENS
from .whole_files import whole_file

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .model import GoTModel

FORMAT, FORMAT_VERSION = "got-adapter", "1"
LORA_A, LORA_B = ".lora_A", ".lora_B"
TOKENS = "mllm.special_tokens"
WORDS, WORD_IDS = "mllm.words", "mllm.word_ids"


@dataclass(frozen=True)
class Adapter:
    """An adapter's tensors under the names above; `information` says how it was trained."""

    tensors: dict[str, Tensor]
    mllm_scale: float
    unet_scale: float
    information: dict[str, Any]


def save_adapter(file: Path, adapter: Adapter) -> None:
    """Write an adapter, whole or not at all.

    Raises:
        GoTError: the disk is full or cannot be written to.
    """
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mllm_scale": repr(adapter.mllm_scale),
        "unet_scale": repr(adapter.unet_scale),
        "information": json.dumps(adapter.information),
    }
    _write(file, adapter.tensors, metadata)


def save_unet_lora(file: Path, adapter: Adapter) -> None:
    """Write the UNet's factors under the names that ComfyUI's own LoRA loader takes for an SDXL UNet.

    `lora_unet_<name>`, with "_" for ".", has `.lora_down.weight` (A), `.lora_up.weight` (B) and `.alpha`,
    which that loader divides by the rank: at strength 1 it makes the change that the adapter makes at 1.
    """
    tensors = {}
    for key, down in adapter.tensors.items():
        if key.startswith("unet.") and key.endswith(LORA_A):
            name = key.removesuffix(LORA_A)
            target = "lora_unet_" + name.removeprefix("unet.").replace(".", "_")
            tensors[f"{target}.lora_down.weight"] = down
            tensors[f"{target}.lora_up.weight"] = adapter.tensors[name + LORA_B]
            tensors[f"{target}.alpha"] = torch.tensor(adapter.unet_scale * down.shape[0])
    _write(file, tensors, {"format": "pt"})


def load_adapter(file: str | Path) -> Adapter:
    """Read an adapter file.

    Raises:
        GoTError: it is missing, truncated, something else than an adapter, or of a newer version.
    """
    try:
        with safe_open(str(file), framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise GoTError(f"{file} is missing, truncated or not a safetensors file ({error}).") from error
    if metadata.get("format") != FORMAT:
        raise GoTError(
            f"{file} is no GoT adapter: its metadata says {metadata.get('format')!r}, not {FORMAT!r}. Choose "
            "a file that `train` has written."
        )
    if metadata.get("format_version") != FORMAT_VERSION:
        raise GoTError(
            f"{file} has format version {metadata.get('format_version')}, this program reads "
            f"{FORMAT_VERSION}. Update it."
        )
    unpaired = [
        name
        for name in tensors
        if name.endswith(LORA_A) and name.removesuffix(LORA_A) + LORA_B not in tensors
    ]
    if unpaired:
        raise GoTError(f"{file} lacks the second factor of {unpaired[0]}. Copy it again.")
    try:
        scales = float(metadata["mllm_scale"]), float(metadata["unet_scale"])
        information = json.loads(metadata["information"])
    except (KeyError, ValueError) as error:
        raise GoTError(f"{file} has damaged metadata ({error}). Copy it again.") from error
    return Adapter(tensors, *scales, information)


def apply_adapter(
    model: GoTModel, adapter: Adapter, mllm_strength: float = 1.0, unet_strength: float = 1.0
) -> None:
    """Change a model's weights in place by an adapter. The projectors follow the MLLM's strength.

    Raises:
        GoTError: the adapter was trained on a checkpoint with other parts or widths; nothing is changed.
    """
    parts = {"mllm": model.reasoner.mllm, "projectors": model.ssgm, "unet": model.unet}
    strengths = {"mllm": mllm_strength, "projectors": mllm_strength, "unet": unet_strength}
    _check_fits(parts, adapter)
    special_tokens = special_token_ids(model.reasoner.tokenizer)
    for part, module in parts.items():
        change_part(part, module, adapter, strengths[part], special_tokens)
    model.reasoner.cache.forget()


@torch.no_grad()
def change_part(
    part: str, module: Any, adapter: Adapter, strength: float, special_tokens: Sequence[int]
) -> None:
    """Change the weights of one part in place, by an adapter that fits.

    Args:
        part: "mllm", "projectors" or "unet".
        special_tokens: the ids of GoT's tokens, as `special_token_ids` gives them.
    """
    scale = {"mllm": adapter.mllm_scale, "unet": adapter.unet_scale}.get(part, 1.0)
    for key, tensor in adapter.tensors.items():
        owner, _, name = key.partition(".")
        if owner != part or name.endswith(LORA_B) or key == WORD_IDS:
            continue
        if key in (TOKENS, WORDS):
            ids = special_tokens if key == TOKENS else adapter.tensors[WORD_IDS].tolist()
            weight = module.get_input_embeddings().weight
            weight[ids] = _sum(weight[ids], strength * tensor.float())
        elif name.endswith(LORA_A):
            name = name.removesuffix(LORA_A)
            weight = module.get_parameter(f"{name}.weight")
            up = adapter.tensors[f"{part}.{name}{LORA_B}"]
            change = up.float().flatten(1) @ tensor.float().flatten(1)  # [out, in times the kernel]
            weight.copy_(_sum(weight, strength * scale * change.view(weight.shape)))
        else:
            weight = module.get_parameter(name)
            weight.copy_(_sum(weight, strength * tensor.float()))


def check_adapter(model: GoTModel, adapter: Adapter) -> None:
    """Whether an adapter fits a checkpoint, before any weights load.

    Raises:
        GoTError: the adapter was trained on a checkpoint with other parts or widths.
    """
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from .ssgm import SemanticSpatialGuidance

    sizes = model.settings.sizes
    with torch.device("meta"):
        parts = {
            "mllm": Qwen2_5_VLForConditionalGeneration(
                Qwen2_5_VLConfig.from_pretrained(model.path / "mllm", local_files_only=True)
            ),
            "projectors": SemanticSpatialGuidance(sizes.hidden, sizes.cross_attention, sizes.pooled),
            "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(model.path / "unet")),
        }
    _check_fits(parts, adapter)


def special_token_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The ids of GoT's 66 tokens, in their order."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in SPECIAL_TOKENS]


def _write(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(file) as beside:
        save_file(content, beside, metadata)


def _sum(weight: Tensor, change: Tensor) -> Tensor:
    return (weight.float() + change.to(weight.device)).to(weight.dtype)


def _check_fits(parts: dict[str, Any], adapter: Adapter) -> None:
    """
    Raises:
        GoTError: a tensor has no weight to change, or one of another shape; names both.
    """
    shapes = {
        f"{part}.{name}": tuple(weight.shape)
        for part, module in parts.items()
        for name, weight in module.named_parameters()
    }
    embedding = parts["mllm"].get_input_embeddings().weight
    shapes[TOKENS] = (len(SPECIAL_TOKENS), embedding.shape[1])
    words = adapter.tensors.get(WORD_IDS, torch.empty(0, dtype=torch.int64))
    if words.dtype == torch.int64 and ((words >= 0) & (words < embedding.shape[0])).all():
        shapes[WORDS], shapes[WORD_IDS] = (len(words), embedding.shape[1]), (len(words),)
    for key, tensor in adapter.tensors.items():
        if key.endswith(LORA_B):
            continue
        weight, shape = key, tuple(tensor.shape)
        if key.endswith(LORA_A):
            name = key.removesuffix(LORA_A)
            weight = f"{name}.weight"
            shape = (*adapter.tensors[name + LORA_B].shape[:1], *shape[1:])
        if shapes.get(weight) != shape:
            raise GoTError(
                f"The adapter does not fit this checkpoint: it changes {weight} of shape {list(shape)}, and "
                f"the checkpoint has {list(shapes[weight]) if weight in shapes else 'no such weight'}. Use "
                "the checkpoint that it was trained on."
            )
