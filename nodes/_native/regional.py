"""Regional prompts in ComfyUI's models: in cross-attention, or as masked conditioning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import comfy.hooks
import comfy.ldm.modules.diffusionmodules.openaimodel
import comfy.model_patcher
import comfy.patcher_extension
from comfy_extras.nodes_hooks import SetClipHooks
from torch import Tensor

from ...got_models.chain.region import Box
from ...got_models.diffusion.regional_attention import RegionalAttention, region_weights
from ...got_models.errors import GoTError
from .._inputs import received
from ..guidance import Conditioning

UNET, PIXELS = "got_unet", "got_pixels"
"""What the patches of a layer leave for each other in ComfyUI's options."""

MASK_SIZE = (128, 128)
"""Of masks for whole passes, which ComfyUI scales to the picture."""


@dataclass(frozen=True)
class RegionalPrompt:
    """The words of a region (those of the whole picture if empty), its box, its strength from 0, and a LoRA.

    `lora`: ComfyUI's HOOKS, or None.
    """

    words: str
    box: Box
    strength: float = 1.0
    lora: Any = None


@dataclass(frozen=True)
class RegionalPainting:
    """What a sampler needs to draw regions.

    `in_one_pass`: whether all words are heard in one pass of the model; otherwise each region needs its own.
    """

    model: Any
    positive: Conditioning
    negative: Conditioning
    in_one_pass: bool


def apply_regions(
    model: Any,
    clip: Any,
    prompt: str,
    background: str,
    regions: Sequence[RegionalPrompt],
    base_share: float,
    feather: float,
    negative: Conditioning | None = None,
) -> RegionalPainting:
    """The model and the conditioning that draw each region's words in its box.

    The background's words apply outside of the boxes: if those of the prompt did, its objects would be drawn
    there as well. The prompt says through SDXL's pooled text what the whole picture is of.

    A LoRA for one region changes the weights of the whole model, so it takes a pass of its own, of which only
    the region is kept, under the negative prompt too.

    Args:
        background: what is outside of the boxes; if empty, the prompt applies there.
        base_share, feather: as in `region_weights`.
        negative: None for an empty one.

    Raises:
        GoTError: no MODEL or CLIP, no HOOKS for a LoRA, or a negative that has a mask already.
    """
    check_linked(model, clip, regions)
    whole = encode_background(clip, prompt, background)
    negative = encode(clip, "") if negative is None else negative
    words = [encode(clip, region.words or prompt, region.lora) for region in regions]
    boxes, strengths = [region.box for region in regions], [region.strength for region in regions]
    loras = {index: region.lora for index, region in enumerate(regions) if region.lora is not None}
    # Where a pass with a LoRA counts, the one without does not.
    own = region_weights(boxes, strengths, MASK_SIZE, 0.0, feather)[1:]
    parts: list[tuple[Tensor, Any]] = [(own[index], lora) for index, lora in loras.items()]
    if loras:
        parts.append((1.0 - own[list(loras)].sum(dim=0), None))
    if has_cross_attention(model):
        contexts = [positive[0][0][:1] for positive in words]
        patched = _patched(model, RegionalAttention(contexts, boxes, strengths, base_share, feather))
        return RegionalPainting(patched, _split(whole, parts), _split(negative, parts), True)
    masks = region_weights(boxes, strengths, MASK_SIZE, base_share, feather)
    hooks = [None, *(region.lora for region in regions)]
    positive = [
        entry
        for prompt, part in zip([whole, *words], zip(masks, hooks, strict=True), strict=True)
        for entry in _split(prompt, [part])
    ]
    return RegionalPainting(model, positive, _split(negative, parts), False)


def check_linked(model: Any, clip: Any, regions: Sequence[RegionalPrompt]) -> None:
    """Raises a GoTError if something else is connected than the types say."""
    for name, value, right in (
        ("MODEL", model, isinstance(model, comfy.model_patcher.ModelPatcher)),
        ("CLIP", clip, hasattr(clip, "encode_from_tokens_scheduled")),
    ):
        if not right:
            raise GoTError(f"{name} should be that of Load Checkpoint, got {received(value)}. Connect it.")
    for number, region in enumerate(regions, start=1):
        if region.lora is not None and not isinstance(region.lora, comfy.hooks.HookGroup):
            raise GoTError(
                f"'lora_{number}' takes a LoRA as HOOKS, from Create Hook LoRA; it received "
                f"{received(region.lora)}."
            )


def encode_background(clip: Any, prompt: str, background: str) -> Conditioning:
    """The words of the background with the pooled text of the prompt."""
    pooled = {key: value for key, value in encode(clip, prompt)[0][1].items() if key == "pooled_output"}
    return [[words, {**values, **pooled}] for words, values in encode(clip, background or prompt)]


def encode(clip: Any, text: str, lora: Any = None) -> Conditioning:
    """The output of ComfyUI's own CLIP Text Encode, with a LoRA's part for the text encoder."""
    if lora is not None:
        (clip,) = SetClipHooks().apply_hooks(clip, schedule_clip=False, apply_to_conds=False, hooks=lora)
    conditioning: Conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    return conditioning


def has_cross_attention(model: Any) -> bool:
    """Whether words reach the model through cross-attention: that of SD 1.5, SD 2, SDXL and their kin."""
    unet = comfy.ldm.modules.diffusionmodules.openaimodel.UNetModel
    return isinstance(model.get_model_object("diffusion_model"), unet)


def _split(conditioning: Conditioning, parts: Sequence[tuple[Tensor, Any]]) -> Conditioning:
    """The conditioning for each part of the picture: a mask, and a LoRA. Without parts it stays as it is."""
    if parts and any("mask" in values or "area" in values for _, values in conditioning):
        raise GoTError(
            "The negative conditioning is for a part of the picture, but a LoRA for a region needs one for "
            "the whole picture. Connect that of CLIP Text Encode."
        )
    split: Conditioning = []
    for mask, lora in parts:
        masked = comfy.hooks.set_mask_for_conditioning(conditioning, mask, "default", 1.0)
        split += comfy.hooks.set_hooks_for_conditioning(masked, lora)
    return split if parts else conditioning


def _patched(model: Any, regions: RegionalAttention) -> Any:
    """The model with regions in every cross-attention layer.

    The patches find the layer in the UNet that is running, which may be a copy on another card.
    """

    def in_unet(run: Any, *given: Any, **named: Any) -> Any:
        *others, options = given  # x, timesteps, context, y, control
        return run(*others, {**options, UNET: run.class_obj}, **named)

    def before(pixels: Tensor, keys: Tensor, values: Tensor, options: dict[str, Any]) -> tuple[Tensor, ...]:
        options[PIXELS] = pixels
        return pixels, keys, values

    def after(attended: Tensor, options: dict[str, Any]) -> Tensor:
        return regions.blend(attended, options[PIXELS], _running_layer(options), options)

    patched = model.clone()
    wrappers = comfy.patcher_extension.WrappersMP
    patched.add_wrapper_with_key(wrappers.DIFFUSION_MODEL, UNET, in_unet)
    patched.set_model_attn2_patch(before)
    patched.set_model_attn2_output_patch(after)
    return patched


def _running_layer(options: dict[str, Any]) -> Any:
    """The cross-attention layer that has just been computed."""
    unet, (side, number) = options[UNET], options["block"]
    layers = {"input": unet.input_blocks, "middle": [unet.middle_block], "output": unet.output_blocks}
    (transformer,) = (layer for layer in layers[side][number] if hasattr(layer, "transformer_blocks"))
    return transformer.transformer_blocks[options["block_index"]].attn2
