"""VAE encoding and decoding, tiled when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import GoTError
from ..finite import check_finite
from .guidance import VAE_FACTOR

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

TILE = 512  # side in pixels; neighbours overlap by a quarter

log = logging.getLogger(__name__)


def encode_unscaled(vae: AutoencoderKL, pixels: Tensor) -> Tensor:
    """Pixels [n, 3, H, W] in -1..1 -> the mode of their latent distribution [n, 4, h, w], unscaled.

    Raises:
        GoTError: not enough memory, even in tiles.
    """
    latents: Tensor = _tiled_on_out_of_memory(vae, lambda: vae.encode(pixels).latent_dist.mode())
    return latents


def decode_scaled(vae: AutoencoderKL, latents: Tensor) -> Tensor:
    """Latents [n, 4, h, w], scaled for the UNet -> pixels [n, 3, H, W] in about -1..1.

    Raises:
        GoTError: the pixels are not all finite, or not enough memory, even in tiles.
    """
    if vae.device.type == "cpu":  # a quarter faster there, and not measured elsewhere
        decoder: Any = vae.decoder
        decoder.to(memory_format=torch.channels_last)
    unscaled = latents.to(vae.device, vae.dtype) / vae.config["scaling_factor"]
    unscaled = unscaled + (vae.config.get("shift_factor") or 0.0)
    pixels: Tensor = _tiled_on_out_of_memory(vae, lambda: vae.decode(unscaled, return_dict=False)[0])
    check_finite(pixels, "The picture that the VAE has decoded", vae)
    return pixels


def _tiled_on_out_of_memory(vae: AutoencoderKL, work: Callable[[], Tensor]) -> Tensor:
    result = _none_if_out_of_memory(work)
    if result is not None:
        return result
    log.warning("The VAE ran out of memory and continues in tiles of %d pixels.", TILE)
    torch.cuda.empty_cache()
    sizes = vae.tile_sample_min_size, vae.tile_latent_min_size
    vae.tile_sample_min_size, vae.tile_latent_min_size = TILE, TILE // VAE_FACTOR
    vae.enable_tiling()
    try:
        result = _none_if_out_of_memory(work)
    finally:
        vae.disable_tiling()
        vae.tile_sample_min_size, vae.tile_latent_min_size = sizes
    if result is None:
        raise GoTError(
            f"There is too little memory for the VAE, even in tiles of {TILE} pixels. Close other programs "
            "that use the card, or choose a smaller size."
        )
    return result


def _none_if_out_of_memory(work: Callable[[], Tensor]) -> Tensor | None:
    """The result, or None when out of memory; the exception, which references tensors, is freed by then."""
    try:
        return work()
    except RuntimeError as error:  # torch.OutOfMemoryError is one; not every device type raises that
        if "out of memory" not in str(error):
            raise
        return None
