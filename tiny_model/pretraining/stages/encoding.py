"""The latents of all rows to draw, encoded once."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from got_models.chain.chain import Box
from got_models.diffusion.box_masks import draw_region_masks
from got_models.diffusion.ssgm import pictures_to_tensor
from got_models.diffusion.vae import encode_unscaled
from got_models.files.whole_files import whole_file
from got_models.weights.checkpoint import read_settings

from ...world.scene import PICTURE_SIZE
from ..config import TrainingConfig
from ..rows import encoded

LATENTS_FILE = "latents.{mask_rule}.safetensors"


def encoded_rows(folder: Path, config: TrainingConfig) -> dict[str, Tensor]:
    """Target, reference and spatial latents (unscaled) of the rows to draw, cached in a file."""
    rule = read_settings(folder).mask_rule
    file = folder / LATENTS_FILE.format(mask_rule=rule)
    if not file.exists():
        vae = AutoencoderKL.from_pretrained(folder / "vae").eval()
        size = (PICTURE_SIZE, PICTURE_SIZE)
        latents: dict[str, list[Tensor]] = {}
        masks: dict[tuple[Box, str], Tensor] = {}  # many recur: those of the generations on the grid
        black = encode_pictures(vae, [Image.new("RGB", size)])
        rows = [(task, row) for task in ("generate", "edit") for row in range(config.encoded_rows)]
        for task, row in tqdm(rows, desc="encoding pictures", mininterval=5):
            example = encoded(task, config.seed, row)
            colored_boxes = {(region.box, region.color): region for region in example.chain.regions}
            for key, region in colored_boxes.items():
                if key not in masks:
                    masks[key] = encode_pictures(vae, draw_region_masks([region], size, rule))
            spatial = torch.cat([masks[key] for key in colored_boxes]).mean(dim=0, keepdim=True)
            target = encode_pictures(vae, [example.look.draw(example.target)])
            source = example.source
            reference = encode_pictures(vae, [example.look.draw(source)]) if source else black
            for part, found in (("target", target), ("reference", reference), ("spatial", spatial)):
                latents.setdefault(f"{task}.{part}", []).append(found)
        with whole_file(file) as temporary:
            save_file({name: torch.cat(values).contiguous() for name, values in latents.items()}, temporary)
    return load_file(file)


@torch.no_grad()
def encode_pictures(vae: AutoencoderKL, pictures: list[Image.Image]) -> Tensor:
    """Unscaled latents [n, 4, h, w]."""
    return encode_unscaled(vae, pictures_to_tensor(pictures, vae.device))
