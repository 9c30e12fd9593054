"""The VAE before training keeps colours, whatever its widths; a stage trains what it says."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from got_models.constants import BUNDLED_CHECKPOINT
from tiny_model.pretraining.config import TrainingConfig
from tiny_model.pretraining.stages.vae import DecoderStage, halve_precision_inside
from tiny_model.pretraining.vae_initialization import pass_colors

SIDE = 64


def build(widths: tuple[int, ...]) -> AutoencoderKL:
    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=widths,
        norm_num_groups=32,
        sample_size=SIDE,
    )
    pass_colors(vae, SIDE)
    return vae


@pytest.mark.parametrize("widths", [(64, 64, 64, 64), (64, 64, 96, 96), (64, 64, 128, 128)])
def test_a_new_vae_keeps_the_colour_of_a_flat_picture(widths):
    vae = build(widths)
    for color in ((0.9, -0.8, -0.8), (-1.0, -1.0, -1.0), (0.2, 0.3, 0.1)):
        pixels = torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, SIDE, SIDE)
        with torch.no_grad():
            latents = vae.encode(pixels).latent_dist.mode()
            decoded = vae.decode(latents).sample
        assert torch.allclose(latents[:, :3].mean((0, 2, 3)), torch.tensor(color), atol=0.02)
        middle = decoded[..., 16:-16, 16:-16].mean((0, 2, 3))
        assert torch.allclose(middle, torch.tensor(color), atol=0.02)


def test_only_the_convolutions_of_residual_blocks_lose_precision():
    vae = build((64, 64, 96, 96))
    types = {}
    for name, module in vae.named_modules():
        module.register_forward_hook(lambda _, __, out, name=name: types.update({name: out}))
    halve_precision_inside(vae)
    with torch.no_grad():
        vae.encode(torch.zeros(1, 3, SIDE, SIDE))
    inside = {name for name, out in types.items() if getattr(out, "dtype", None) is torch.bfloat16}
    assert inside
    assert all(name.endswith(("conv1", "conv2", "nonlinearity", "norm2", "dropout")) for name in inside)
    assert types["encoder.down_blocks.2.resnets.0"].dtype is torch.float32


def test_the_decoder_stage_leaves_the_latents_as_they_are(tmp_path):
    stage = DecoderStage(BUNDLED_CHECKPOINT, TrainingConfig())
    before = {name: tensor.clone() for name, tensor in stage.module.state_dict().items()}
    losses = stage.losses(stage.module, step=0)
    sum(losses.values()).backward()
    torch.optim.AdamW(stage.learning[0].others, lr=1e-3).step()
    (tmp_path / "vae").mkdir()
    stage.save(tmp_path)
    after = AutoencoderKL.from_pretrained(tmp_path / "vae").state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith(("decoder.", "post_quant_conv.")) for name in changed)
