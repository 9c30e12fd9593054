"""The training objective: cross-entropy on the chain, squared error on the noise (paper section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from ..mllm.sequences import IGNORED

if TYPE_CHECKING:
    from transformers import Qwen2_5_VLForConditionalGeneration


def chain_loss(
    mllm: Qwen2_5_VLForConditionalGeneration,
    hidden: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy of the chain's tokens.

    Args:
        hidden: [b, length, hidden] after the final norm.
        labels: [b, length]; a token is predicted from the position before it.
        weights: [b, length], the weight of each label's loss; 1 by default.
    """
    wanted = labels[:, 1:]
    counted = wanted != IGNORED
    logits = mllm.lm_head(hidden[:, :-1][counted])  # [tokens, vocabulary]
    losses = functional.cross_entropy(logits.float(), wanted[counted], reduction="none")
    if weights is not None:
        losses = losses * weights[:, 1:][counted]
    return losses.sum() / counted.sum()


@dataclass(frozen=True)
class DiffusionTargets:
    """What the UNet is trained to draw, and under which guidance, for a batch of b pictures.

    ``latents`` [b, 4, h, w] are scaled; ``reference`` and ``spatial`` [b, 4, h, w] are not.
    ``semantic`` and ``null_semantic`` [b, 64, Dc], ``pooled`` [b, Dp].
    """

    latents: Tensor
    reference: Tensor
    spatial: Tensor
    semantic: Tensor
    null_semantic: Tensor
    pooled: Tensor


def diffusion_loss(
    unet: Any,
    scheduler: Any,
    targets: DiffusionTargets,
    size: tuple[int, int],
    repeats: int,
    noise_offset: float,
    dropout: float,
    largest_weight: float,
    generator: torch.Generator,
) -> Tensor:
    """Mean squared error of the predicted noise, each picture at ``repeats`` timesteps.

    Conditioning dropout trains each of the guidance formula's other branches with probability ``dropout``:
    (Gt, 0, Gr), (0, 0, Gr) and (0, 0, 0); the pooled embedding is never nulled.

    Args:
        unet: a UNet2DConditionModel with 12 input channels.
        scheduler: a DDPMScheduler.
        size: height and width in pixels, for SDXL's time ids.
        noise_offset: standard deviation of one extra noise value per picture and channel.
        largest_weight: noisy timesteps, which decide colours and positions, are weighted by the
            inverse of their signal-to-noise ratio, from 1 up to this. 1 is the paper's plain squared error.
        generator: CPU generator of timesteps, noise and dropout.
    """
    device = targets.latents.device

    def repeated(values: Tensor) -> Tensor:
        return values.repeat_interleave(repeats, dim=0)

    latents = repeated(targets.latents)
    count = latents.shape[0]
    timesteps = _even_timesteps(count, scheduler.config.num_train_timesteps, generator).to(device)
    noise = torch.randn(latents.shape, generator=generator)
    noise = (noise + noise_offset * torch.randn(count, latents.shape[1], 1, 1, generator=generator)).to(
        device
    )
    branch = torch.rand(count, generator=generator).to(device)

    drop_spatial = (branch < 3 * dropout).view(-1, 1, 1, 1)
    drop_semantic = (branch < 2 * dropout).view(-1, 1, 1)
    drop_reference = (branch < dropout).view(-1, 1, 1, 1)
    semantic = torch.where(drop_semantic, repeated(targets.null_semantic), repeated(targets.semantic))
    spatial = repeated(targets.spatial).masked_fill(drop_spatial, 0.0)
    reference = repeated(targets.reference).masked_fill(drop_reference, 0.0)

    noisy = scheduler.add_noise(latents, noise, timesteps)
    height, width = size
    time_ids = torch.tensor([[height, width, 0, 0, height, width]], device=device, dtype=latents.dtype)
    predicted = unet(
        torch.cat([noisy, reference, spatial], dim=1),  # [b, 12, h, w]
        timesteps,
        encoder_hidden_states=semantic,
        added_cond_kwargs={"text_embeds": repeated(targets.pooled), "time_ids": time_ids.repeat(count, 1)},
        return_dict=False,
    )[0]
    error = (predicted.float() - noise).square().mean(dim=(1, 2, 3))  # [b]
    kept = scheduler.alphas_cumprod.to(device)[timesteps]
    weights = ((1 - kept) / kept).clamp(1.0, largest_weight)
    return (weights * error).mean()


def _even_timesteps(count: int, steps: int, generator: torch.Generator) -> Tensor:
    """One timestep from each of `count` equal slices of the schedule: an even spread in every batch."""
    spread = (torch.rand(count, generator=generator) + torch.randperm(count, generator=generator)) / count
    return (spread * steps).long().clamp(max=steps - 1)  # the last slice may round up to 1
