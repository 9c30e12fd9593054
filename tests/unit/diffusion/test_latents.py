"""Normalised latents: the same pictures, with latents that noise suits."""

from __future__ import annotations

import torch

from tiny_model.pretraining.initialize import build_vae
from tiny_model.pretraining.stages.vae import normalize_latents


def test_normalised_latents_are_even_and_decode_to_the_same_picture() -> None:
    torch.manual_seed(0)
    vae = build_vae().eval()
    with torch.no_grad():
        vae.quant_conv.bias += torch.linspace(-2.0, 2.0, 8)
        pixels = torch.rand(3, 3, 128, 128) * 2 - 1
        before = vae.encode(pixels).latent_dist.mode()
        picture = vae.decode(before).sample
        normalize_latents(vae, before)
        after = vae.encode(pixels).latent_dist.mode()
        again = vae.decode(after).sample
    assert before.mean(dim=(0, 2, 3)).abs().max() > 0.5
    assert torch.allclose(after.mean(dim=(0, 2, 3)), torch.zeros(4), atol=1e-3)
    assert torch.allclose(after.std(dim=(0, 2, 3)), torch.ones(4), atol=1e-3)
    assert torch.allclose(again, picture, atol=1e-3)
