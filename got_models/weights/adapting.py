"""Applying an adapter to a checkpoint's parts, at strengths that the weights' dtype can represent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..errors import GoTError, short_repr
from ..mllm.prompts import SPECIAL_TOKENS
from .adapter import EMBEDDINGS, LORA_A, LORA_B, PARTS, TOKENS, WORD_IDS, WORDS, Adapter, is_finite_number
from .distilled import distilled_of
from .loading import loading, mllm_config, part_config
from .patching import apply_change

if TYPE_CHECKING:
    from .checkpoint import Sizes

MAX_CHANGE = 65504.0
"""Maximum absolute value; the largest number in float16. Weights are around 0.1."""


def change_parts(
    parts: Mapping[str, nn.Module],
    adapter: Adapter,
    mllm_strength: float,
    unet_strength: float,
    special_tokens: Sequence[int],
) -> None:
    """Apply an adapter to all parts in place. The projectors use the MLLM's strength.

    Args:
        parts: "mllm", "projectors" and "unet".
        special_tokens: as in `Adapter.changes`.

    Raises:
        GoTError: the adapter was trained on a checkpoint with other parts or widths, or a strength is
            invalid; nothing is changed.
    """
    check_strengths(adapter, mllm_strength, unet_strength)
    _check_fits(parts, adapter)
    for part, module in parts.items():
        change_part(part, module, adapter, _strength(part, mllm_strength, unet_strength), special_tokens)


def change_part(
    part: str, module: Any, adapter: Adapter, strength: float, special_tokens: Sequence[int]
) -> None:
    """Apply a matching adapter to one part's weights in place; arguments as `Adapter.changes`."""
    for change in adapter.changes(part, strength, special_tokens):
        apply_change(module, change)


def check_strengths(adapter: Adapter, mllm_strength: float, unet_strength: float) -> None:
    """
    Raises:
        GoTError: a strength is not finite, or so large that the result would overflow.
    """
    for name, strength in (("mllm_strength", mllm_strength), ("unet_strength", unet_strength)):
        if not is_finite_number(strength):
            raise GoTError(
                f"{name} must be a number, such as 1 for the adapter as it was trained; got "
                f"{short_repr(strength)}."
            )
    for part in PARTS:
        for change in adapter.changes(part, _strength(part, mllm_strength, unet_strength)):
            if not change.bound() <= MAX_CHANGE:
                raise GoTError(
                    f"At these strengths, {mllm_strength:g} and {unet_strength:g}, the adapter changes "
                    f"{part}.{change.weight} by up to {change.bound():g}: by values that {torch.float16} "
                    "cannot hold. Choose smaller strengths."
                )


def check_variable(adapter: Adapter, unet_strengths: Sequence[float]) -> None:
    """
    Raises:
        GoTError: these strengths would draw nothing different, or nothing of use, or would overflow.
    """
    if not any(name.startswith("unet.") for name in adapter.tensors):
        raise GoTError("The adapter changes plans alone: pictures are the same at every strength of it.")
    if distilled_of(adapter) is not None:
        raise GoTError("A distilled adapter draws well only as a whole: its strength cannot vary.")
    check_strengths(adapter, 0.0, max(unet_strengths, key=abs))


def check_adapter(checkpoint: Path, sizes: Sizes, adapter: Adapter) -> None:
    """Check that an adapter fits a checkpoint, before any weights load.

    Raises:
        GoTError: the adapter was trained on a checkpoint with other parts or widths.
    """
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import Qwen2_5_VLForConditionalGeneration

    from ..diffusion.ssgm import SemanticSpatialGuidance

    with torch.device("meta"), loading(checkpoint):
        parts = {
            "mllm": Qwen2_5_VLForConditionalGeneration(mllm_config(checkpoint / "mllm")),
            "projectors": SemanticSpatialGuidance(sizes.hidden, sizes.cross_attention, sizes.pooled),
            "unet": UNet2DConditionModel.from_config(part_config(checkpoint / "unet")),
        }
    _check_fits(parts, adapter)


def _strength(part: str, mllm_strength: float, unet_strength: float) -> float:
    return unet_strength if part == "unet" else mllm_strength


def _check_fits(parts: Mapping[str, nn.Module], adapter: Adapter) -> None:
    """
    Raises:
        GoTError: a tensor matches no weight, or one of another shape; names both.
    """
    shapes = {
        f"{part}.{name}": tuple(weight.shape)
        for part, module in parts.items()
        for name, weight in module.named_parameters()
    }
    embedding = parts["mllm"].get_parameter(EMBEDDINGS)
    shapes[TOKENS] = (len(SPECIAL_TOKENS), embedding.shape[1])
    words = adapter.tensors.get(WORD_IDS, torch.empty(0, dtype=torch.int64))
    if (words < embedding.shape[0]).all():
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
                f"The adapter does not fit this checkpoint: it changes {weight:.200} of shape {list(shape)}, "
                f"and the checkpoint has {list(shapes[weight]) if weight in shapes else 'no such weight'}. "
                "Use the checkpoint that it was trained on."
            )
