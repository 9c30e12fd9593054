"""The diffusion loss: what it feeds the UNet, and how it weighs what comes back."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler
from torch import Tensor, nn

from got_models.training.losses import DiffusionTargets, diffusion_loss

BATCH, REPEATS = 4, 50


class Silent(nn.Module):
    """A UNet that predicts no noise at all and remembers what it saw."""

    def forward(self, sample: Tensor, timesteps: Tensor, **inputs) -> tuple[Tensor]:
        self.sample, self.timesteps, self.inputs = sample, timesteps, inputs
        return (torch.zeros_like(sample[:, :4]),)


def loss_of(unet: Silent, dropout: float = 0.0, offset: float = 0.0, largest: float = 1.0) -> float:
    targets = DiffusionTargets(
        latents=torch.zeros(BATCH, 4, 16, 16),
        reference=torch.full((BATCH, 4, 16, 16), 2.0),
        spatial=torch.full((BATCH, 4, 16, 16), 3.0),
        semantic=torch.full((BATCH, 64, 8), 4.0),
        null_semantic=torch.full((BATCH, 64, 8), 5.0),
        pooled=torch.full((BATCH, 6), 6.0),
    )
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    generator = torch.Generator().manual_seed(0)
    return float(
        diffusion_loss(unet, scheduler, targets, (96, 128), REPEATS, offset, dropout, largest, generator)
    )


def test_predicting_nothing_costs_the_variance_of_the_noise():
    assert loss_of(Silent()) == pytest.approx(1.0, abs=0.02)
    assert loss_of(Silent(), offset=0.5) == pytest.approx(1.25, abs=0.05)


def test_timesteps_are_spread_over_the_whole_schedule():
    unet = Silent()
    loss_of(unet)
    counts = torch.histc(unet.timesteps.float(), bins=10, min=0, max=1000)
    assert counts.tolist() == [BATCH * REPEATS / 10] * 10


def test_no_timestep_rounds_past_the_last_one(monkeypatch: pytest.MonkeyPatch):
    largest = 1 - 2**-24  # that torch.rand gives; with a slice's number before it, it rounds up
    monkeypatch.setattr(torch, "rand", lambda count, **_: torch.full((count,), largest))
    unet = Silent()
    loss_of(unet)
    assert unet.timesteps.max() == 999


def test_channels_are_noise_reference_spatial_and_the_size_is_told():
    unet = Silent()
    loss_of(unet)
    assert unet.sample.shape == (BATCH * REPEATS, 12, 16, 16)
    assert (unet.sample[:, 4:8] == 2.0).all() and (unet.sample[:, 8:] == 3.0).all()
    assert unet.inputs["added_cond_kwargs"]["time_ids"][0].tolist() == [96, 128, 0, 0, 96, 128]


def test_dropout_trains_each_branch_of_the_formula_as_often_as_it_says():
    unet = Silent()
    loss_of(unet, dropout=0.2)
    no_spatial = unet.sample[:, 8, 0, 0] == 0
    no_reference = unet.sample[:, 4, 0, 0] == 0
    no_semantic = unet.inputs["encoder_hidden_states"][:, 0, 0] == 5.0
    branches = {
        "full": ~no_spatial & ~no_semantic & ~no_reference,
        "semantic": no_spatial & ~no_semantic & ~no_reference,
        "reference": no_spatial & no_semantic & ~no_reference,
        "null": no_spatial & no_semantic & no_reference,
    }
    shares = {name: float(rows.float().mean()) for name, rows in branches.items()}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["full"] == pytest.approx(0.4, abs=0.1)
    assert all(shares[name] == pytest.approx(0.2, abs=0.1) for name in ("semantic", "reference", "null"))
    assert (unet.inputs["added_cond_kwargs"]["text_embeds"] == 6.0).all()


def test_noisy_timesteps_weigh_more_up_to_the_limit():
    plain, weighted = loss_of(Silent()), loss_of(Silent(), largest=5.0)
    kept = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").alphas_cumprod
    expected = ((1 - kept) / kept).clamp(1.0, 5.0).mean()
    assert weighted / plain == pytest.approx(float(expected), rel=0.05)
