"""Regional prompts in ComfyUI's models: as patches of cross-attention, or as masked conditioning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.ldm.modules.diffusionmodules.openaimodel
import comfy.model_patcher
from torch import Tensor

from ...got_models.chain.region import Region
from ...got_models.diffusion.regional_attention import RegionalAttention, region_weights
from ...got_models.errors import GoTError
from .._inputs import received
from ..guidance import Conditioning

MASK_SIZE = (128, 128)
"""Of masks for models without cross-attention, which ComfyUI scales to the picture."""


def apply_regions(
    model: Any,
    clip: Any,
    base: str,
    prompts: Sequence[str],
    regions: Sequence[Region],
    base_share: float,
    feather: float,
) -> tuple[Any, Conditioning, int]:
    """The model and the positive conditioning that draw each prompt in its region; and passes per step.

    Args:
        base: the prompt of the whole picture.
        prompts: of the regions, in their order.
        base_share, feather: as in `region_weights`.

    Raises:
        GoTError: no MODEL or CLIP.
    """
    for name, value, right in (
        ("MODEL", model, isinstance(model, comfy.model_patcher.ModelPatcher)),
        ("CLIP", clip, hasattr(clip, "encode_from_tokens_scheduled")),
    ):
        if not right:
            raise GoTError(f"{name} should be that of Load Checkpoint, got {received(value)}. Connect it.")
    whole = encode(clip, base)
    words = [encode(clip, prompt) for prompt in prompts]
    boxes, strengths = [region.box for region in regions], [1.0] * len(regions)
    if has_cross_attention(model):
        contexts: list[Tensor] = [positive[0][0][:1] for positive in words]
        attention = RegionalAttention(contexts, boxes, strengths, base_share, feather)
        patched = model.clone()
        patched.set_model_attn2_patch(attention.widen)
        patched.set_model_attn2_output_patch(attention.blend)
        return patched, whole, 1
    weights = region_weights(boxes, strengths, MASK_SIZE, base_share, feather)
    masked = [
        [context, {**values, "mask": weight[None], "mask_strength": 1.0, "set_area_to_bounds": False}]
        for positive, weight in zip([whole, *words], weights, strict=True)
        for context, values in positive
    ]
    return model, masked, len(masked)


def encode(clip: Any, text: str) -> Conditioning:
    """The output of ComfyUI's own CLIP Text Encode."""
    conditioning: Conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    return conditioning


def has_cross_attention(model: Any) -> bool:
    """Whether words reach the model through cross-attention: that of SD 1.5, SD 2, SDXL and their kin."""
    unet = comfy.ldm.modules.diffusionmodules.openaimodel.UNetModel
    return isinstance(model.get_model_object("diffusion_model"), unet)
