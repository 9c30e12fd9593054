"""The area that an edit may change: the inside of its boxes. Outside them the source is kept, at its size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .chain.chain import ReasoningChain, Region
from .diffusion.guidance import VAE_FACTOR
from .diffusion.harmonizing import harmonize
from .notes import Note

RIM, FEATHER = 1 / 128, 1 / 64
"""Of the shorter side: how far around a box all is drawn anew, as a thing's smooth edge may lie there;
and where the soft edge ends."""


def keep_outside_boxes(picture: Image.Image, source: Image.Image, regions: Sequence[Region]) -> Image.Image:
    """The source with the edited picture, resized to match, pasted into its boxes with a soft edge.

    A chain without boxes refers to the whole picture: then nothing of the source is kept.
    """
    if picture.size != source.size:
        picture = picture.resize(source.size, Image.Resampling.LANCZOS)
    drawn, kept = (_to_tensor(image)[None] for image in (picture, source))
    pasted = paste(drawn, kept, edited_area(regions, (source.height, source.width)))[0]
    return Image.fromarray((pasted * 255).round().to(torch.uint8).numpy())


def edited_area(regions: Sequence[Region], size: tuple[int, int]) -> Tensor:
    """Where an edit may change a picture of size (H, W): [H, W], 1 in boxes and rims, falling to 0 around.

    A chain without boxes refers to the whole picture.
    """
    height, width = size
    if not regions:
        return torch.ones(height, width)
    feather = max(1, round(FEATHER * min(height, width)))
    rim = int(RIM * min(height, width))
    y, x = torch.arange(height)[:, None], torch.arange(width)[None, :]
    area = torch.zeros(height, width)
    for region in regions:
        left, top, right, bottom = region.box.to_pixels(width, height)
        horizontal = torch.maximum(left - x, x - (right - 1)).clamp(min=0)  # pixels outside the box
        vertical = torch.maximum(top - y, y - (bottom - 1)).clamp(min=0)
        beyond = torch.maximum(horizontal, vertical) - rim
        area = torch.maximum(area, 1.0 - beyond / (feather - rim + 1))
    return area.clamp(min=0.0, max=1.0)


def paste(drawn: Tensor, source: Tensor, area: Tensor) -> Tensor:
    """`drawn` inside the area, `source` outside it: pictures [b, H, W, 3] in 0..1 and an area [H, W].

    The ground inside is shifted to the tone that it has outside. There the source is kept bit for bit. What
    is mixed is rounded to 8 bits, so that it is the same in every file format.
    """
    weight = area.to(drawn)[:, :, None]
    mixed = torch.lerp(source, harmonize(drawn, source, area.to(drawn)), weight).mul(255).round() / 255
    return torch.where(weight > 0, mixed, source)


def paste_latents(drawn: Tensor, source: Tensor, area: Tensor) -> Tensor:
    """The same for latents [b, 4, h, w] and an area [H, W], unrounded."""
    return torch.lerp(source, drawn, torch.nn.functional.avg_pool2d(area.to(drawn)[None, None], VAE_FACTOR))


def resize_result(picture: Image.Image, source_size: tuple[int, int], short_side: int) -> Image.Image:
    """Resize an edited picture to its source's aspect (width, height) and a short side in pixels."""
    width, height = source_size
    scale = short_side / min(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def finish_edit(
    picture: Image.Image, source: Image.Image, chain: ReasoningChain, *, keep_outside: bool
) -> Image.Image:
    """The result of an edit.

    Either the source with its boxes redrawn or, if nothing of it is kept, a picture with its source's aspect
    and the short side that was drawn.
    """
    if keep_outside:
        return keep_outside_boxes(picture, source, chain.regions)
    return resize_result(picture, source.size, min(picture.size))


def enlargement(drawn: tuple[int, int], source: tuple[int, int], sentence: str = "enlarged") -> list[Note]:
    """A remark if an edit is drawn smaller than its source; both (height, width) in pixels."""
    if min(drawn) >= min(source):
        return []
    sizes = {"drawn": f"{drawn[1]} x {drawn[0]}", "size": f"{source[1]} x {source[0]}"}
    return [Note(sentence, **sizes)]


def _to_tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(picture.convert("RGB")).astype(np.float32) / 255.0)
