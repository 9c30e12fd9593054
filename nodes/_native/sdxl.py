"""ComfyUI's SDXL classes, extended to hold a GoT checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comfy.diffusers_convert
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.samplers
import comfy.sd
import comfy.supported_models
import comfy.utils
import torch
from torch import Tensor

from ...got_models.diffusion.guidance import LATENT_CHANNELS, VAE_FACTOR
from ...got_models.errors import GoTError
from ...got_models.finite import check_finite, first_not_finite
from ...got_models.weights.checkpoint import CheckpointSettings, check, read_index
from ...got_models.weights.loading import loading, part_config
from .._images import fit_preview_colors
from .configs import SCHEDULE_NEEDS, VAE_NEEDS, LevelWidth, read_config, unet_config

WEIGHTS = "diffusion_pytorch_model.safetensors"
DTYPES: dict[str, torch.dtype | None] = {
    "default": None,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}


class GoTSDXL(comfy.model_base.SDXL):
    """ComfyUI's SDXL with reference and spatial latents behind the noisy ones, and the checkpoint's settings.

    A conditioning holds the latents as "got_reference" and "got_spatial", [b, 4, h, w] unscaled; missing ones
    are zeros, the null guidance.
    """

    def __init__(self, model_config: comfy.supported_models.SDXL, settings: CheckpointSettings) -> None:
        super().__init__(model_config, comfy.model_base.ModelType.EPS)
        self.settings = settings

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        """ComfyUI's own, after checking that the conditioning was made for this kind of checkpoint.

        Raises:
            GoTError: cross-attention states or a pooled embedding of another width.
        """
        sizes = self.settings.sizes
        for key, width in (("cross_attn", sizes.cross_attention), ("pooled_output", sizes.pooled)):
            tensor = kwargs.get(key)
            if tensor is None or tensor.shape[-1] != width:
                given = "none" if tensor is None else f"one that is {tensor.shape[-1]} wide"
                raise GoTError(
                    f"This MODEL needs a conditioning whose {key} is {width} wide, got {given}. Take it from "
                    f"SSGM Encode, with the checkpoint that GoT Native Model Loader has."
                )
        conds: dict[str, Any] = super().extra_conds(**kwargs)
        return conds

    def concat_cond(self, **kwargs: Any) -> Tensor:
        """Reference and spatial latents [b, 8, h, w], repeated to the batch of the noise.

        Raises:
            GoTError: the guidance was made for a picture of another size.
        """
        noise = kwargs["noise"]
        return torch.cat([self._latents(noise, kwargs, name) for name in ("reference", "spatial")], dim=1).to(
            kwargs["device"]
        )

    def process_latent_out(self, latent: Tensor) -> Tensor:
        """Called by ComfyUI with a sampler's result: scaled latents become unscaled.

        Raises:
            GoTError: they are not finite; the VAE would decode them to a black picture.
        """
        check_finite(latent, "What the sampler has made", self.diffusion_model)
        processed: Tensor = super().process_latent_out(latent)
        return processed

    def _latents(self, noise: Tensor, entries: Mapping[str, Any], name: str) -> Tensor:
        latents = entries.get(f"got_{name}")
        if latents is None:
            return torch.zeros_like(noise)
        if latents.shape[1:] != noise.shape[1:]:
            given, needed = ([VAE_FACTOR * side for side in tensor.shape[-2:]] for tensor in (latents, noise))
            raise GoTError(
                f"The {name} guidance is for a picture {given[0]} high and {given[1]} wide, but the latent "
                f"is for one {needed[0]} high and {needed[1]} wide. Give SSGM Encode and the empty latent "
                f"the same size."
            )
        repeated: Tensor = comfy.utils.repeat_to_batch_size(latents.to(noise), noise.shape[0])
        return repeated


def load(folder: Path, weight_dtype: str) -> tuple[comfy.model_patcher.ModelPatcher, comfy.sd.VAE]:
    """A checkpoint folder's UNet and VAE in ComfyUI's classes.

    Args:
        weight_dtype: a key of `DTYPES`; "default" leaves it to ComfyUI.

    Raises:
        GoTError: a folder that is incomplete, whose tensors do not match its configs, or whose configs
            require something that ComfyUI's SDXL does not support.
    """
    model = load_model(folder, check(folder), DTYPES[weight_dtype])
    vae = load_vae(folder / "vae")
    latent_format = model.model.latent_format
    if latent_format.scale_factor != comfy.latent_formats.SDXL.scale_factor:
        fit_previews(latent_format, vae)
    return model, vae


def load_model(
    folder: Path,
    settings: CheckpointSettings,
    dtype: torch.dtype | None,
    *,
    disable_dynamic: bool = False,
) -> comfy.model_patcher.ModelPatcher:
    """The UNet under ComfyUI's memory management, with weights in `dtype` or as ComfyUI chooses.

    Args:
        disable_dynamic: load into the classic patcher if ComfyUI has one for dynamic VRAM. ComfyUI requests
            this when a feature, such as a LoRA for some of the steps, needs whole weights.
    """
    # 1. ComfyUI's config, from the checkpoint's.
    vae = read_config(folder / "vae" / "config.json", VAE_NEEDS)
    schedule = read_config(folder / "scheduler" / "scheduler_config.json", SCHEDULE_NEEDS)
    config = comfy.supported_models.SDXL({})
    config.unet_config = unet_config(folder / "unet" / "config.json")
    config.latent_format.scale_factor = vae["scaling_factor"]
    config.sampling_settings = {
        "linear_start": schedule["beta_start"],
        "linear_end": schedule["beta_end"],
        "timesteps": schedule["num_train_timesteps"],
    }

    # 2. The weights, checked against the config: with dynamic VRAM ComfyUI's layers accept any shape.
    tensors = _read_tensors(folder / "unet")
    _check_tensors(folder / "unet", tensors, unet_shapes(folder / "unet" / "config.json"))

    # 3. An empty UNet, with ComfyUI's choice of dtype and device.
    management = comfy.model_management
    device, offload_device = management.get_torch_device(), management.unet_offload_device()
    supported = config.supported_inference_dtypes
    stored = dtype or management.unet_dtype(
        model_params=comfy.utils.calculate_parameters(tensors),
        supported_dtypes=supported,
        weight_dtype=comfy.utils.weight_dtype(tensors),
    )
    config.set_inference_dtype(stored, management.unet_manual_cast(stored, device, supported))
    model = GoTSDXL(config, settings).to(offload_device)
    patcher = _patcher_class(disable_dynamic)(model, load_device=device, offload_device=offload_device)
    patcher.cached_patcher_init = (load_model, (folder, settings, dtype))

    # 4. Its weights, under ComfyUI's names and already in their storage dtype, because with
    # dynamic VRAM a layer keeps the dtype it is given. Assigned there, they may stay in the file until used.
    slots = comfy.utils.unet_to_diffusers(config.unet_config)
    weights = {slots[name]: tensor.to(stored) for name, tensor in tensors.items()}
    model.diffusion_model.load_state_dict(weights, assign=_is_dynamic(patcher))
    return patcher


def unet_shapes(file: Path) -> dict[str, torch.Size]:
    """The name and shape of every tensor that a diffusers UNet with this config.json has."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    with torch.device("meta"), loading(file):
        unet = UNet2DConditionModel.from_config(part_config(file.parent))
    return {name: tensor.shape for name, tensor in unet.state_dict().items()}


def _patcher_class(disable_dynamic: bool) -> type[comfy.model_patcher.ModelPatcher]:
    """The class that ComfyUI itself uses for diffusion models; before about 0.8 there was only one."""
    plain: type[comfy.model_patcher.ModelPatcher] = comfy.model_patcher.ModelPatcher
    return plain if disable_dynamic else getattr(comfy.model_patcher, "CoreModelPatcher", plain)


def _is_dynamic(patcher: comfy.model_patcher.ModelPatcher) -> bool:
    return hasattr(patcher, "is_dynamic") and bool(patcher.is_dynamic())


def load_vae(folder: Path) -> comfy.sd.VAE:
    """The VAE under ComfyUI's memory management."""
    config = read_config(folder / "config.json", VAE_NEEDS)
    widths = config["block_out_channels"]
    architecture = {
        "double_z": True,
        "z_channels": LATENT_CHANNELS,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": widths[0],
        "ch_mult": [LevelWidth(width) for width in widths],
        "num_res_blocks": config.get("layers_per_block", 1),
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    tensors = _read_tensors(folder)
    damaged = first_not_finite(tensors.items())
    if damaged is not None:
        raise GoTError(f"{folder}: {damaged} holds NaN or infinite values. Copy or import the folder again.")
    tensors = comfy.diffusers_convert.convert_vae_state_dict(tensors)
    parameters = {"ddconfig": architecture, "embed_dim": LATENT_CHANNELS}
    vae = comfy.sd.VAE(sd=tensors, config={"params": parameters})
    expected = vae.first_stage_model.state_dict()
    _check_tensors(folder, tensors, {name: tensor.shape for name, tensor in expected.items()})
    return vae


def fit_previews(latent_format: comfy.latent_formats.SDXL, vae: comfy.sd.VAE) -> None:
    """Fit the preview colours to a VAE that is not SDXL's."""
    latent_format.latent_rgb_factors, latent_format.latent_rgb_factors_bias = fit_preview_colors(
        lambda pixels: latent_format.process_in(vae.encode(pixels)).cpu()
    )
    latent_format.taesd_decoder_name = None


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a diffusers part, from its one file or its shards."""
    index = folder / f"{WEIGHTS}.index.json"
    files = read_index(index) if index.is_file() else [WEIGHTS]
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors |= comfy.utils.load_torch_file(str(folder / file), safe_load=True)
    return tensors


def _check_tensors(folder: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, torch.Size]) -> None:
    missing, unexpected = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    if missing or unexpected:
        raise GoTError(
            f"{folder} does not hold the weights that its config.json describes; "
            f"missing: {_first(missing)}; unexpected: {_first(unexpected)}. Copy the folder again."
        )
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise GoTError(
                f"{folder}: {name} has shape {list(tensors[name].shape)}, but its config.json asks for "
                f"{list(shape)}."
            )


def _first(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "none"
