"""Translation of the configs of a checkpoint's UNet and VAE for ComfyUI's SDXL classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...got_models.diffusion.guidance import LATENT_CHANNELS
from ...got_models.errors import GoTError, short_repr
from ...got_models.files.json_objects import read_json
from ...got_models.weights.checkpoint import UNET_CHANNELS

# What is hard-coded in ComfyUI's classes. diffusers uses the same values for missing keys.
UNET_NEEDS = {
    "act_fn": "silu",
    "addition_time_embed_dim": 256,
    "center_input_sample": False,
    "class_embed_type": None,
    "dual_cross_attention": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "norm_eps": 1e-5,
    "norm_num_groups": 32,
    "only_cross_attention": False,
    "resnet_time_scale_shift": "default",
    "reverse_transformer_layers_per_block": None,
}
VAE_NEEDS = {
    "act_fn": "silu",
    "mid_block_add_attention": True,
    "norm_num_groups": 32,
    "shift_factor": None,
    "use_post_quant_conv": True,
    "use_quant_conv": True,
}
SCHEDULE_NEEDS = {
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "trained_betas": None,
}


def unet_config(file: Path) -> dict[str, Any]:
    """The arguments of ComfyUI's UNetModel for the config.json of an SDXL-like diffusers UNet.

    Raises:
        GoTError: the config requires something that ComfyUI's UNet does not support.
    """
    config = read_config(file, UNET_NEEDS)
    base, *_ = widths = config["block_out_channels"]
    if any(width % base for width in widths):
        raise GoTError(f"{file}: ComfyUI needs levels whose widths are multiples of the first, got {widths}.")
    levels = len(widths)
    resnets = _per_level(config.get("layers_per_block", 2), levels)
    depths = _per_level(config.get("transformer_layers_per_block", 1), levels)
    heads = _per_level(config.get("num_attention_heads") or config.get("attention_head_dim", 8), levels)
    attends_down = _attends(file, config["down_block_types"], "DownBlock2D")
    attends_up = _attends(file, config["up_block_types"][::-1], "UpBlock2D")
    head_widths = {
        width / count
        for width, count, attends in zip(widths, heads, [*attends_down[:-1], True], strict=True)
        if attends
    }
    if len(head_widths) != 1:
        raise GoTError(
            f"{file}: ComfyUI's SDXL needs attention heads of one width on all levels, got "
            f"{', '.join(f'{width:g}' for width in sorted(head_widths))}."
        )
    # One entry per residual block; the up path has one more block on each level.
    down, up = [], []
    for count, depth, in_down, in_up in zip(resnets, depths, attends_down, attends_up, strict=True):
        down += [depth if in_down else 0] * count
        up += [depth if in_up else 0] * (count + 1)
    return {
        "image_size": 32,
        "in_channels": UNET_CHANNELS,
        "out_channels": LATENT_CHANNELS,
        "model_channels": base,
        "channel_mult": [width // base for width in widths],
        "num_res_blocks": resnets,
        "transformer_depth": down,
        "transformer_depth_middle": depths[-1],
        "transformer_depth_output": up,
        "num_heads": -1,
        "num_head_channels": int(head_widths.pop()),
        "context_dim": config["cross_attention_dim"],
        "adm_in_channels": config["projection_class_embeddings_input_dim"],
        "num_classes": "sequential",
        "use_spatial_transformer": True,
        "use_linear_in_transformer": config.get("use_linear_projection", False),
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        "legacy": False,
    }


def read_config(file: Path, needs: Mapping[str, object]) -> dict[str, Any]:
    """A diffusers config that `check` has passed; entries that differ from `needs` are errors."""
    config = read_json(file)
    for key, needed in needs.items():
        if config.get(key, needed) != needed:
            raise GoTError(
                f"{file}: {key} is {short_repr(config[key])}, but ComfyUI's SDXL has {needed!r}. "
                f"Use this checkpoint with GoT Model Loader and GoT Sampler."
            )
    return config


class LevelWidth(int):
    """The width of a VAE's level, where ComfyUI wants a multiple of the first level's.

    ComfyUI multiplies the first width by it, and gets this one back: 64 times 1.5 would be a float.
    """

    def __rmul__(self, first_width: int) -> int:
        return int(self)


def _per_level(value: int | list[int], levels: int) -> list[int]:
    return value if isinstance(value, list) else [value] * levels


def _attends(file: Path, blocks: list[str], plain: str) -> list[bool]:
    """For each level, whether its blocks have attention."""
    unknown = set(blocks) - {plain, f"CrossAttn{plain}"}
    if unknown:
        raise GoTError(f"{file}: ComfyUI's SDXL has no blocks of the kind {', '.join(sorted(unknown))}.")
    return [block != plain for block in blocks]
