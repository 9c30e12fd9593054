"""The Semantic-Spatial Guidance Module: hidden states, coloured boxes and a source picture become guidance.

Shape letters as in `guidance.py`. Training and inference both go through these functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.nn import Linear

from ..chain.chain import GRID, Box, Region
from .vae import encode_unscaled

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

MASK_RULES = ("published", "rounded")
"""How boxes become pixels: truncated and filled up to and including the bottom-right corner, as the published
inference does it; or rounded, without that corner. A checkpoint draws best with the rule that it was trained
with."""


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


def mask_corners(box: Box, size: tuple[int, int], rule: str) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a box's mask in a picture of size (H, W), all of them inside the mask.

    Args:
        rule: one of MASK_RULES.
    """
    height, width = size
    if rule == "published":  # in floating point, as it was published: int(290 / 1000 * 100) is 28
        left, right = (int(x / GRID * width) for x in (box.x1, box.x2))
        top, bottom = (int(y / GRID * height) for y in (box.y1, box.y2))
        return left, top, right, bottom
    left, top, right, bottom = box.to_pixels(width, height)
    return left, top, right - 1, bottom - 1


def draw_region_masks(regions: Sequence[Region], size: tuple[int, int], rule: str) -> list[Image.Image]:
    """For each region its own black picture of size (H, W) with the box filled in the region's colour.

    No region: one black picture. The rule is one of MASK_RULES.
    """
    height, width = size
    if not regions:
        return [Image.new("RGB", (width, height))]
    pictures = []
    for region in regions:
        picture = Image.new("RGB", (width, height))
        ImageDraw.Draw(picture).rectangle(mask_corners(region.box, size, rule), fill=region.color)
        pictures.append(picture)
    return pictures


def pictures_to_tensor(
    pictures: Sequence[Image.Image], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Tensor:
    """RGB pictures of one size -> [n, 3, H, W] in -1..1."""
    pixels = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])  # [n, H, W, 3] in 0..255
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device=device, dtype=torch.float32)
    return (tensor / 127.5 - 1.0).to(dtype).contiguous()


def spatial_latents(
    vae: AutoencoderKL, regions: Sequence[Region], size: tuple[int, int], rule: str
) -> Tensor:
    """Spatial guidance [1, 4, h, w]: the mean of the regions' masks, encoded one by one to save memory.

    The masks are of size (H, W), by one of MASK_RULES.
    """
    masks = draw_region_masks(regions, size, rule)
    latents = [encode_unscaled(vae, pictures_to_tensor([mask], vae.device, vae.dtype)) for mask in masks]
    return torch.cat(latents).mean(dim=0, keepdim=True)


def reference_latents(vae: AutoencoderKL, picture: Image.Image | None, size: tuple[int, int]) -> Tensor:
    """Reference guidance [1, 4, h, w]: the source picture, or a black one if None, resized to (H, W)."""
    height, width = size
    if picture is None:
        picture = Image.new("RGB", (width, height))
    resized = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    return encode_unscaled(vae, pictures_to_tensor([resized], vae.device, vae.dtype))
