"""The VAE goes on in tiles where memory runs out, and gives no picture that holds NaN."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import pytest
import torch
from diffusers import AutoencoderKL
from torch import nn

from got_models.diffusion.vae import TILE, decode_scaled, encode_unscaled
from got_models.errors import GoTError

SIZE = (TILE, TILE + 128)


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    widths = {"block_out_channels": (8,) * 4, "norm_num_groups": 4, "sample_size": 1024}
    down, up = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    return AutoencoderKL(down_block_types=down, up_block_types=up, **widths).eval().requires_grad_(False)


@pytest.fixture
def small_memory(vae: AutoencoderKL, request: pytest.FixtureRequest) -> Callable[[int], None]:
    """Lets the VAE run out of memory whenever its input has more values per channel than this."""
    error = getattr(request, "param", torch.cuda.OutOfMemoryError("CUDA out of memory."))
    hooks = []

    def limit(values: int) -> None:
        def check(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            if inputs[0][0, 0].numel() > values:
                raise error

        hooks.extend(part.register_forward_pre_hook(check) for part in (vae.encoder, vae.decoder))

    yield limit
    for hook in hooks:
        hook.remove()


def latents() -> torch.Tensor:
    return torch.randn(1, 4, SIZE[0] // 8, SIZE[1] // 8, generator=torch.Generator().manual_seed(0))


def test_decoding_goes_on_in_tiles_with_one_line_in_the_log(
    vae: AutoencoderKL, small_memory: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    whole = decode_scaled(vae, latents())
    small_memory((TILE // 8) ** 2)
    with caplog.at_level(logging.WARNING):
        tiled = decode_scaled(vae, latents())
    assert [record.message for record in caplog.records] == [
        "The VAE ran out of memory and continues in tiles of 512 pixels."
    ]
    assert tiled.shape == whole.shape == (1, 3, *SIZE)
    assert (tiled - whole).abs().mean() < 0.02 < whole.abs().mean()
    assert not vae.use_tiling and vae.tile_sample_min_size == 1024


@pytest.mark.parametrize("small_memory", [RuntimeError("MPS backend out of memory")], indirect=True)
def test_encoding_goes_on_in_tiles(vae: AutoencoderKL, small_memory: Callable[[int], None]) -> None:
    pixels = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whole = encode_unscaled(vae, pixels)
    small_memory(TILE**2)
    tiled = encode_unscaled(vae, pixels)
    assert tiled.shape == whole.shape == latents().shape
    assert (tiled - whole).abs().mean() < 0.02 < whole.abs().mean()


def test_too_little_memory_even_for_tiles_is_said_and_leaves_the_vae_as_it_was(
    vae: AutoencoderKL, small_memory: Callable[[int], None]
) -> None:
    small_memory(100)
    with pytest.raises(GoTError, match="too little memory for the VAE, even in tiles of 512 pixels"):
        decode_scaled(vae, latents())
    assert not vae.use_tiling and vae.tile_latent_min_size == 128


@pytest.mark.parametrize("small_memory", [RuntimeError("another mistake")], indirect=True)
def test_other_errors_are_not_taken_for_a_lack_of_memory(
    vae: AutoencoderKL, small_memory: Callable[[int], None]
) -> None:
    small_memory(100)
    with pytest.raises(RuntimeError, match="another mistake"):
        decode_scaled(vae, latents())


def test_a_picture_that_is_not_finite_is_refused(vae: AutoencoderKL) -> None:
    with pytest.raises(GoTError, match="The picture that the VAE has decoded holds NaN"):
        decode_scaled(vae, torch.full((1, 4, 8, 8), math.nan))
