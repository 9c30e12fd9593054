"""The VAE: collages, then mostly whole pictures."""

from __future__ import annotations

import os
import random
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from PIL import Image
from torch import Tensor, nn

from got_models.diffusion.ssgm import pictures_to_tensor
from got_models.training.schedule import step_seed

from ...world.language import sample_generation
from ...world.scene import draw
from ..config import TrainingConfig, VaeSettings
from ..optimizers import Learning
from .collages import collage, whole_picture
from .encoding import encode_pictures, encoded_rows


class VaeStage:
    """An autoencoder of pictures: of scenes, and of coloured boxes on black for spatial guidance."""

    name = "vae"
    whole_pictures = 0.2
    """The share of steps on a whole picture; the others see a collage, which has many more edges."""
    by_hue = False
    """Whether most things are as light as their background."""

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        self.config = config
        self.settings: VaeSettings = getattr(config, self.name)
        self.module = AutoencoderKL.from_pretrained(folder / "vae").requires_grad_(True)
        halve_precision_inside(self.module)
        self.steps, self.warmup_steps = self.settings.steps, self.settings.warmup_steps
        self.learning = [Learning.of([self.module], self.settings.learning_rate, [], 0.0)]
        self.averaged = list(self.module.parameters())
        self.ema_decay = self.settings.ema_decay

    def losses(self, module: nn.Module, step: int) -> dict[str, Tensor]:
        """L1 plus squared error of the decoded picture, and a small penalty on the latents' magnitude."""
        settings = self.settings
        rng = random.Random(f"{self.name} {self.config.seed} {step}")
        generator = torch.Generator().manual_seed(step_seed(self.config.seed, self.name, step))
        pixels = pictures_to_tensor([self.picture(rng, step)], next(module.parameters()).device)
        decoded, latents = autoencode(module, pixels, settings.latent_noise, generator)
        error = decoded - pixels
        return {
            "picture": error.abs().mean() + error.square().mean(),
            "latents": 1e-3 * latents.square().mean(),
        }

    def picture(self, rng: random.Random, step: int) -> Image.Image:
        """What a step sees."""
        draw_one = whole_picture if rng.random() < self.whole_pictures else collage
        return draw_one(rng, self.by_hue)

    def save(self, folder: Path) -> None:
        """Writes the VAE with latents that have mean 0 and standard deviation 1 in every channel."""
        rng = random.Random(f"vae scaling {self.config.seed}")
        self.module.eval()
        pictures = [draw(sample_generation(rng).target) for _ in range(64)]
        normalize_latents(self.module, torch.cat([encode_pictures(self.module, [one]) for one in pictures]))
        self.module.register_to_config(scaling_factor=1.0)
        replace_vae(self.module, folder)


class DetailStage(VaeStage):
    """The VAE continues, on pictures as the UNet will be asked for."""

    name = "detail"
    whole_pictures = 0.6


class HueStage(DetailStage):
    """The VAE learns edges that only hue tells: a blue star on a gray that is as dark."""

    name = "hue"
    by_hue = True

    def save(self, folder: Path) -> None:
        """Writes the VAE, and the latents of all rows to draw: from here on they stay."""
        super().save(folder)
        encoded_rows(folder, self.config)


class DecoderStage(VaeStage):
    """The decoder alone continues. The latents stay, so it may run beside the stages that draw them."""

    name = "decoder"
    whole_pictures = 0.5

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        super().__init__(folder, config)
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(name.startswith(("decoder.", "post_quant_conv.")))
        self.averaged = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.learning = [Learning.of([self.module], self.settings.learning_rate, [], 0.0)]

    def picture(self, rng: random.Random, step: int) -> Image.Image:
        """Every second one as in the stage before."""
        self.by_hue = step % 2 == 0
        return super().picture(rng, step)

    def save(self, folder: Path) -> None:
        replace_vae(self.module, folder)


def replace_vae(vae: AutoencoderKL, checkpoint: Path) -> None:
    """Replaces the VAE of a checkpoint, each file as a whole: another process may just look at its shapes."""
    with TemporaryDirectory(dir=checkpoint) as temporary:
        vae.save_pretrained(temporary)
        for file in Path(temporary).iterdir():
            os.replace(file, checkpoint / "vae" / file.name)


def halve_precision_inside(vae: nn.Module) -> None:
    """Lets the convolutions inside residual blocks compute in bfloat16, a third faster.

    The colours of a picture pass beside them, and next to a pattern of large amplitude (`vae_initialization`)
    their bits would be lost.
    """
    for name, module in vae.named_modules():
        if isinstance(module, nn.Conv2d) and name.endswith(("conv1", "conv2")):
            module.forward = partial(in_half_precision, module)  # type: ignore[method-assign]


def in_half_precision(convolution: nn.Conv2d, values: Tensor) -> Tensor:
    """The convolution in bfloat16."""
    with torch.autocast(values.device.type, torch.bfloat16):
        return nn.Conv2d.forward(convolution, values)


@torch.no_grad()
def normalize_latents(vae: Any, latents: Tensor) -> None:
    """Shifts and scales each latent channel by those of ``latents`` [n, 4, h, w]; pictures are unchanged.

    The encoder's last layer and the decoder's first are 1 x 1 convolutions that absorb the change exactly.
    """
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))  # [4]
    channels = len(mean)
    after, before = vae.quant_conv, vae.post_quant_conv
    after.weight[:channels] /= deviation.view(-1, 1, 1, 1)
    after.bias[:channels] = (after.bias[:channels] - mean) / deviation
    before.bias += (before.weight[:, :, 0, 0] @ mean.unsqueeze(1)).squeeze(1)
    before.weight *= deviation.view(1, -1, 1, 1)


def autoencode(
    vae: Any, pixels: Tensor, latent_noise: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The decoded picture and its latents; noise on the latents makes the decoder robust."""
    latents = vae.encode(pixels).latent_dist.mode()
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    return vae.decode(latents + latent_noise * noise).sample, latents
