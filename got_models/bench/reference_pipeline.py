"""Text-to-image as in the published inference code: the baseline for this library's optimizations.

- The chain is read again in a separate pass over prompt, chain and image tokens: nothing is reused from
  generating the chain or from the last pass.
- For every guidance, each box's mask and the black reference picture are encoded by the VAE.
- All four branches are evaluated in every step, whatever their coefficients, as one batch.

None of the library's optimizations may be used here: only the weights, the prompt's wording, the drawing of
masks and the plain functions of the projectors and the VAE are shared.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from PIL import Image
from torch import Tensor

from ..chain.chain import ReasoningChain
from ..diffusion.box_masks import draw_region_masks
from ..diffusion.guidance import Guidance
from ..diffusion.settings import SamplingSettings
from ..diffusion.ssgm import pictures_to_tensor
from ..diffusion.vae import encode_unscaled
from ..mllm.prompts import conversation
from ..mllm.settings import GenerationSettings
from ..pipeline import GoTModel


class ReferencePipeline:
    """The weights of a GoTModel behind methods with the same names and results."""

    def __init__(self, model: GoTModel) -> None:
        self.model = model
        self.parts = model.parts
        self.reasoner = model.parts.reasoner()
        self.vae = as_loaded(model.parts.vae())

    @torch.no_grad()
    def reason(self, prompt: str, *, settings: GenerationSettings) -> ReasoningChain:
        """Let the MLLM generate a chain; within one chain it does use a KV cache."""
        reasoner = self.reasoner
        ids = reasoner.token_ids
        input_ids = self._input_ids(conversation(reasoner.tokenizer, "generate", prompt, 0))
        stop_ids = list(reasoner.stop_ids)
        written = reasoner.mllm.generate(
            input_ids=input_ids,
            attention_mask=torch.ones_like(input_ids),
            use_cache=True,
            max_new_tokens=settings.max_new_tokens,
            eos_token_id=stop_ids,
            pad_token_id=ids.end_of_text,
        )[0, input_ids.shape[1] :].tolist()
        if written[-1] in stop_ids:
            written.pop()
        text = str(reasoner.tokenizer.decode(written, clean_up_tokenization_spaces=False))
        return ReasoningChain.read(text, "generate", prompt)

    @torch.no_grad()
    def encode(self, chain: ReasoningChain, *, size: tuple[int, int]) -> Guidance:
        """Turn a chain into guidance for a picture of `size` (H, W)."""
        # 1. Semantic guidance: another pass over the whole sequence.
        reasoner, ssgm = self.reasoner, self.model.parts.ssgm()
        ids = reasoner.token_ids
        before = conversation(reasoner.tokenizer, "generate", chain.prompt, 0)
        input_ids = self._input_ids(before, chain.mllm_text, ids.image_start, *ids.image_tokens)
        states = reasoner.mllm.model(
            input_ids=input_ids, attention_mask=torch.ones_like(input_ids), use_cache=False
        )
        semantic, null_semantic, pooled = ssgm.semantic(states[0][:, -len(ids.image_tokens) :])
        # 2. Spatial and reference guidance: every picture through the VAE.
        rule = self.model.settings.mask_rule
        masks = [self._latents(mask) for mask in draw_region_masks(chain.regions, size, rule)]
        spatial = torch.cat(masks).mean(dim=0, keepdim=True)
        height, width = size
        reference = self._latents(Image.new("RGB", (width, height)))
        return Guidance(
            semantic,
            null_semantic,
            pooled,
            spatial.to(semantic),
            reference.to(semantic),
            size,
            "generate",
        )

    @torch.no_grad()
    def sample_latents(self, guidance: Guidance, settings: SamplingSettings) -> Tensor:
        """Denoise with DDPM and the checkpoint's scales -> scaled latents [1, 4, h, w], in float32."""
        unet = self.model.parts.unet()
        device = unet.device
        scales = self.model.default_scales(guidance.task)
        schedule = DDPMScheduler.from_config(self.model.scheduler_config)
        schedule.set_timesteps(settings.steps, device=device)
        # 1. The branches in the order of the sum: null, reference, semantic, full.
        no_latents = torch.zeros_like(guidance.reference)
        null = guidance.null_semantic
        semantic = torch.cat([null, null, guidance.semantic, guidance.semantic])
        reference = torch.cat([no_latents, guidance.reference, guidance.reference, guidance.reference])
        spatial = torch.cat([no_latents, no_latents, no_latents, guidance.spatial])
        height, width = guidance.size
        time_ids = torch.tensor([[height, width, 0, 0, height, width]] * 4, device=device, dtype=unet.dtype)
        added = {"text_embeds": guidance.pooled.repeat(4, 1), "time_ids": time_ids}
        # 2. Noise, then step by step.
        generator = torch.Generator().manual_seed(settings.seed)
        latents = torch.randn(reference[:1].shape, generator=generator).to(device)
        for time in schedule.timesteps:
            noisy = torch.cat([latents.repeat(4, 1, 1, 1).to(unet.dtype), reference, spatial], dim=1)
            noise = unet(noisy, time, encoder_hidden_states=semantic, added_cond_kwargs=added)[0]
            nothing, only_reference, no_boxes, full = noise.float().chunk(4)
            combined = (
                nothing
                + scales.semantic * (no_boxes - only_reference)
                + scales.spatial * (full - no_boxes)
                + scales.reference * (only_reference - nothing)
            )
            latents = schedule.step(combined, time, latents, generator=generator)[0]
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Image.Image:
        """Scaled latents [1, 4, h, w] -> the picture."""
        vae = self.vae
        pixels = vae.decode(latents.to(vae.dtype) / vae.config["scaling_factor"])[0]
        levels = ((pixels[0].float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return Image.fromarray(levels.permute(1, 2, 0).cpu().numpy())

    def _input_ids(self, *pieces: str | int) -> Tensor:
        """Texts and single tokens -> token ids [1, length]."""
        reasoner = self.reasoner
        ids: list[int] = []
        for piece in pieces:
            if isinstance(piece, str):
                ids += reasoner.tokenizer(piece, add_special_tokens=False)["input_ids"]
            else:
                ids.append(piece)
        return torch.tensor([ids], device=reasoner.mllm.device)

    def _latents(self, picture: Image.Image) -> Tensor:
        pixels = pictures_to_tensor([picture], self.vae.device, self.vae.dtype)
        return encode_unscaled(self.vae, pixels)


def as_loaded(vae: AutoencoderKL) -> AutoencoderKL:
    """The VAE with its weights in the order in which they are loaded, which decoding on a CPU changes."""
    if vae.device.type != "cpu":
        return vae
    copied = deepcopy(vae)
    decoder: Any = copied.decoder
    decoder.to(memory_format=torch.contiguous_format)
    return copied
