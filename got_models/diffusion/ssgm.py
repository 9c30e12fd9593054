"""The Semantic-Spatial Guidance Module: hidden states, coloured boxes and a source picture become guidance.

Shape letters as in `guidance.py`. Training and inference both go through these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import Linear

from ..chain.chain import Region
from .box_masks import draw_region_masks
from .vae import encode_unscaled

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL


class Projector(nn.Module):
    """One linear layer, stored under the published key `<name>.projector.*`."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.projector = Linear(in_features, out_features)

    def forward(self, hidden: Tensor) -> Tensor:
        projected: Tensor = self.projector(hidden)
        return projected


class SemanticSpatialGuidance(nn.Module):
    """The two projectors from the MLLM's hidden width to the UNet's cross-attention and pooled widths."""

    def __init__(self, hidden: int, cross_attention: int, pooled: int) -> None:
        super().__init__()
        self.output_projector = Projector(hidden, cross_attention)
        self.output_projector_add = Projector(hidden, pooled)

    def semantic(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states [b, 64, hidden] -> (semantic [b, 64, Dc], null semantic [b, 64, Dc], pooled [b, Dp]).

        The null semantic guidance is the projection of zeros, that is the bias alone. The pooled embedding is
        the mean over the image tokens; it is never nulled.
        """
        semantic = self.output_projector(hidden)
        null_semantic = self.output_projector(torch.zeros_like(hidden))
        pooled = self.output_projector_add(hidden).mean(dim=1)
        return semantic, null_semantic, pooled


def pictures_to_tensor(
    pictures: Sequence[Image.Image], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Tensor:
    """RGB pictures of one size -> [n, 3, H, W] in -1..1."""
    return _normalized(_levels(pictures, device), dtype)


def encode_pictures(vae: AutoencoderKL, pictures: Sequence[Image.Image]) -> Tensor:
    """Pictures of one size -> unscaled latents [n, 4, h, w] on the VAE's device.

    They are encoded one by one, to save memory. All are moved to the device first, because each move waits
    until a GPU has finished what came before.
    """
    levels = _levels(pictures, vae.device)
    return torch.cat([encode_unscaled(vae, _normalized(one, vae.dtype)) for one in levels.split(1)])


def spatial_latents(
    vae: AutoencoderKL, regions: Sequence[Region], size: tuple[int, int], rule: str
) -> Tensor:
    """Spatial guidance [1, 4, h, w]: the mean of the latents of the regions' masks.

    The masks are of size (H, W), drawn by one of MASK_RULES.
    """
    return encode_pictures(vae, draw_region_masks(regions, size, rule)).mean(dim=0, keepdim=True)


def reference_latents(vae: AutoencoderKL, picture: Image.Image | None, size: tuple[int, int]) -> Tensor:
    """Reference guidance [1, 4, h, w]: the source picture, or a black one if None, resized to (H, W)."""
    height, width = size
    if picture is None:
        picture = Image.new("RGB", (width, height))
    resized = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    return encode_pictures(vae, [resized])


def _levels(pictures: Sequence[Image.Image], device: torch.device | str) -> Tensor:
    """RGB pictures of one size -> [n, H, W, 3] in 0..255, the smallest form in which they can be moved."""
    return torch.from_numpy(np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])).to(device)


def _normalized(levels: Tensor, dtype: torch.dtype) -> Tensor:
    """[n, H, W, 3] in 0..255 -> [n, 3, H, W] in -1..1."""
    return (levels.permute(0, 3, 1, 2).to(torch.float32) / 127.5 - 1.0).to(dtype).contiguous()
