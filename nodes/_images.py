"""Conversion between pictures and ComfyUI's tensors. Pure functions.

IMAGE is [b, H, W, 3] in 0..1, MASK [b, H, W] in 0..1, LATENT's samples are unscaled [b, 4, h, w].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageColor
from torch import Tensor

from ..got_models.chain.chain import Region
from ..got_models.chain.hidream import layout_outlines
from ..got_models.diffusion.box_masks import mask_corners
from ..got_models.diffusion.guidance import VAE_FACTOR
from ..got_models.errors import GoTError
from ..got_models.pictures import MAX_ASPECT

MAX_MASK_VALUES = 2**30


def image_to_pictures(image: Tensor) -> list[Image.Image]:
    """Each picture of an IMAGE batch; transparency (a fourth channel) is dropped.

    Raises:
        GoTError: an empty batch, a wrong shape, values that are not numbers, or an extremely long picture.
    """
    if image.ndim != 4 or image.shape[-1] not in (3, 4):
        raise GoTError(
            f"An IMAGE must be [batch, height, width, 3 colours], got {list(image.shape)}. Connect a picture."
        )
    if 0 in image.shape:
        raise GoTError("The image batch is empty. Connect at least one picture.")
    if not image.is_floating_point():
        raise GoTError(f"An IMAGE holds fractions from 0 to 1, got {image.dtype}. Connect a picture.")
    height, width = image.shape[1:3]
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise GoTError(
            f"A picture may be at most {MAX_ASPECT} times as long as it is wide, got {width} x {height} "
            "pixels. Crop it."
        )
    image = image.float()
    if not torch.isfinite(image).all():
        raise GoTError("The image holds NaN or infinite values; the node before it went wrong.")
    levels = (image[..., :3] * 255.0).round().clamp(0, 255).to(torch.uint8)
    return [Image.fromarray(picture) for picture in levels.cpu().numpy()]


def pictures_to_image(pictures: Sequence[Image.Image]) -> Tensor:
    """Pictures of one size -> IMAGE [b, H, W, 3]."""
    levels = np.stack([np.asarray(picture.convert("RGB")) for picture in pictures])
    values = levels.astype(np.float32)
    values /= 255.0  # in place: a layout may have hundreds of megapixels
    return torch.from_numpy(values)


def resize_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """An IMAGE resized to (H, W); returned unchanged if it has that size."""
    height, width = size
    if tuple(image.shape[1:3]) == size:
        return image
    pictures = image_to_pictures(image)
    return pictures_to_image(
        [picture.resize((width, height), Image.Resampling.LANCZOS) for picture in pictures]
    )


def box_masks(regions: Sequence[Region], size: tuple[int, int]) -> Tensor:
    """One MASK per region [n, H, W] at size (H, W); one empty mask if there is none.

    Where regions overlap, one of a lower order loses what a higher one covers.

    Raises:
        GoTError: together they would need more than 4 GiB of memory.
    """
    height, width = size
    count = max(1, len(regions))
    if count * height * width > MAX_MASK_VALUES:
        raise GoTError(
            f"{count} masks of {width} x {height} pixels take {count * height * width / 2**28:.1f} GiB of "
            "memory, and may take 4. Choose a smaller size, and enlarge the masks that you need."
        )
    masks = torch.zeros(count, height, width)
    for mask, region in zip(masks, regions, strict=False):
        left, top, right, bottom = region.box.to_pixels(width, height)
        mask[top:bottom, left:right] = 1.0
        for other in regions:
            if other.detail.order > region.detail.order:
                left, top, right, bottom = other.box.to_pixels(width, height)
                mask[top:bottom, left:right] = 0.0
    return masks


def region_masks(regions: Sequence[Region], size: tuple[int, int], rule: str) -> Tensor:
    """The output of the library's `draw_region_masks` as an IMAGE [n, H, W, 3] at size (H, W).

    Only the boxes are written: NumPy requests zeroed memory from the system, which is not allocated until it
    is touched. ComfyUI keeps this output whether or not anything is connected to it.
    """
    height, width = size
    image = np.zeros((max(1, len(regions)), height, width, 3), dtype=np.float32)
    for picture, region in zip(image, regions, strict=False):
        left, top, right, bottom = mask_corners(region.box, size, rule)
        color = np.array(ImageColor.getrgb(region.color), dtype=np.float32)
        picture[top : bottom + 1, left : right + 1] = color / 255
    return torch.from_numpy(image)


def hidream_layout(regions: Sequence[Region], size: tuple[int, int]) -> Tensor:
    """HiDream-O1's layout picture as an IMAGE [1, H, W, 3] at size (H, W).

    Only the outlines are written, as in `region_masks`.
    """
    height, width = size
    picture = np.zeros((height, width, 3), dtype=np.float32)
    for line in layout_outlines(regions, width, height):
        color = np.array(line.color, dtype=np.float32) / 255
        inside = picture[line.top : line.bottom + 1, line.left : line.right + 1]
        for band in (
            inside[: line.width],
            inside[-line.width :],
            inside[:, : line.width],
            inside[:, -line.width :],
        ):
            band[:] = color
    return torch.from_numpy(picture)[None]


def fit_preview_colors(encode: Callable[[Tensor], Tensor]) -> tuple[list[list[float]], list[float]]:
    """Preview colours for a VAE that ComfyUI does not know: a least-squares fit to coloured squares.

    Args:
        encode: IMAGE -> scaled latents [b, 4, h, w] on the CPU.

    Returns:
        One row of red, green and blue for each latent channel, and the bias; colours in -1..1.
    """
    colors = torch.rand(8, 4, 4, 3, generator=torch.Generator().manual_seed(0))
    squares = colors.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)  # [8, 16, 16, 3]
    pixels = squares.repeat_interleave(VAE_FACTOR, dim=1).repeat_interleave(VAE_FACTOR, dim=2)
    latents = encode(pixels).float().movedim(1, -1)  # [8, 16, 16, 4]
    known = torch.cat([latents, torch.ones(8, 16, 16, 1)], dim=-1)
    *factors, bias = torch.linalg.lstsq(known.flatten(0, 2), squares.flatten(0, 2) * 2 - 1).solution.tolist()
    return factors, bias
