"""Hidden states, boxes and pictures become guidance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from got_models.chain.chain import Box, ReasoningChain
from got_models.diffusion.box_masks import MASK_RULES, draw_region_masks
from got_models.diffusion.ssgm import (
    SemanticSpatialGuidance,
    encode_pictures,
    encode_unscaled,
    pictures_to_tensor,
    reference_latents,
    spatial_latents,
)

CHAIN = ReasoningChain.parse(
    "a red circle <|box_start|>(100,200),(400,500)<|box_end|> (red) and "
    "a blue square <|box_start|>(300,400),(999,999)<|box_end|> (blue)",
    "generate",
    "a red circle and a blue square",
)


@pytest.fixture(scope="module")
def vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32,) * 4,
        latent_channels=4,
        scaling_factor=0.13025,
    ).requires_grad_(False)


def mode(vae: AutoencoderKL, picture: Image.Image) -> torch.Tensor:
    """The mean that the VAE's encoder predicts for one picture, without its helper classes."""
    pixels = torch.tensor(np.array(picture), dtype=torch.float32).permute(2, 0, 1)[None] / 255 * 2 - 1
    return vae.quant_conv(vae.encoder(pixels))[:, :4]


def test_projectors_carry_the_published_keys_and_shapes() -> None:
    shapes = {key: tuple(value.shape) for key, value in SemanticSpatialGuidance(6, 5, 3).state_dict().items()}
    assert shapes == {
        "output_projector.projector.weight": (5, 6),
        "output_projector.projector.bias": (5,),
        "output_projector_add.projector.weight": (3, 6),
        "output_projector_add.projector.bias": (3,),
    }


def test_semantic_guidance_is_projected_nulled_to_the_bias_and_pooled_by_the_mean() -> None:
    torch.manual_seed(0)
    ssgm = SemanticSpatialGuidance(6, 5, 3)
    hidden = torch.randn(2, 64, 6)
    semantic, null_semantic, pooled = ssgm.semantic(hidden)
    weights = ssgm.state_dict()
    weight, bias = (weights[f"output_projector.projector.{kind}"] for kind in ("weight", "bias"))
    assert torch.allclose(semantic, torch.einsum("bnh,ch->bnc", hidden, weight) + bias, atol=1e-6)
    assert torch.equal(null_semantic, bias.expand(2, 64, 5))
    weight, bias = (weights[f"output_projector_add.projector.{kind}"] for kind in ("weight", "bias"))
    assert torch.allclose(pooled, hidden.mean(1) @ weight.T + bias, atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "box", "rows", "columns"),
    [
        ("rounded", Box(100, 200, 400, 500), slice(20, 50), slice(20, 80)),
        ("rounded", Box(104, 206, 404, 506), slice(21, 51), slice(21, 81)),
        ("rounded", Box(0, 0, 1, 1), slice(0, 1), slice(0, 1)),
        ("rounded", Box(990, 990, 999, 999), slice(99, 100), slice(198, 200)),
        # Truncated, and the corner at the bottom right belongs to it.
        ("published", Box(100, 200, 400, 500), slice(20, 51), slice(20, 81)),
        ("published", Box(104, 206, 404, 506), slice(20, 51), slice(20, 81)),
        ("published", Box(0, 0, 1, 1), slice(0, 1), slice(0, 1)),
        ("published", Box(990, 990, 999, 999), slice(99, 100), slice(198, 200)),
        # 290 / 1000 * 100 is a little less than 29 in floating point, and is cut to 28.
        ("published", Box(100, 290, 200, 490), slice(28, 50), slice(20, 41)),
        ("published", Box(145, 200, 400, 500), slice(20, 51), slice(28, 81)),
    ],
)
def test_each_region_gets_its_own_mask_in_its_own_colour_by_the_rule(
    rule: str, box: Box, rows: slice, columns: slice
) -> None:
    chain = CHAIN.move_box(0, box)
    masks = [np.array(mask) for mask in draw_region_masks(chain.regions, (100, 200), rule)]
    assert [mask.shape for mask in masks] == [(100, 200, 3)] * 2
    expected = np.zeros((100, 200, 3), dtype=np.uint8)
    expected[rows, columns] = (255, 0, 0)
    assert np.array_equal(masks[0], expected)
    assert (masks[1][45:95, 65:195] == (0, 0, 255)).all()
    assert not masks[1][:40].any() and not masks[1][:, :60].any()


@pytest.mark.parametrize("rule", MASK_RULES)
def test_no_region_gives_one_black_mask(rule: str) -> None:
    (mask,) = draw_region_masks([], (64, 96), rule)
    assert mask.size == (96, 64) and not np.array(mask).any()


def test_pixels_run_from_minus_one_to_one() -> None:
    picture = Image.new("RGB", (3, 2))
    picture.putpixel((2, 0), (255, 51, 0))
    tensor = pictures_to_tensor([picture, picture])
    assert tensor.shape == (2, 3, 2, 3) and tensor.dtype == torch.float32
    assert torch.allclose(tensor[1, :, 0, 2], torch.tensor([1.0, -0.6, -1.0]))
    assert (tensor[:, :, 1] == -1).all()


def test_latents_are_the_mode_and_not_scaled(vae: AutoencoderKL) -> None:
    picture = Image.effect_noise((64, 64), 90).convert("RGB")
    pixels = pictures_to_tensor([picture])
    latents = encode_unscaled(vae, pixels)
    assert torch.equal(latents, encode_unscaled(vae, pixels))
    assert torch.allclose(latents, mode(vae, picture), atol=1e-5)


def test_spatial_guidance_is_the_mean_over_the_regions(vae: AutoencoderKL) -> None:
    red, blue = np.zeros((64, 96, 3), dtype=np.uint8), np.zeros((64, 96, 3), dtype=np.uint8)
    (left, top, right, bottom), other = (region.box.to_pixels(96, 64) for region in CHAIN.regions)
    red[top:bottom, left:right] = (255, 0, 0)
    blue[other[1] : other[3], other[0] : other[2]] = (0, 0, 255)
    expected = (mode(vae, Image.fromarray(red)) + mode(vae, Image.fromarray(blue))) / 2
    latents = spatial_latents(vae, CHAIN.regions, (64, 96), "rounded")
    assert latents.shape == (1, 4, 8, 12)
    assert torch.allclose(latents, expected, atol=1e-5)


def test_without_regions_spatial_guidance_is_an_encoded_black_picture_and_not_zeros(
    vae: AutoencoderKL,
) -> None:
    latents = spatial_latents(vae, [], (64, 64), "published")
    assert torch.allclose(latents, mode(vae, Image.new("RGB", (64, 64))), atol=1e-5)
    assert latents.abs().max() > 1e-3


def test_reference_is_resized_to_the_result(vae: AutoencoderKL) -> None:
    picture = Image.effect_noise((50, 30), 90).convert("RGB")
    resized = picture.resize((96, 64), Image.Resampling.BICUBIC)
    latents = reference_latents(vae, picture, (64, 96))
    assert torch.allclose(latents, mode(vae, resized), atol=1e-5)


def test_without_a_reference_a_black_picture_stands_for_it(vae: AutoencoderKL) -> None:
    latents = reference_latents(vae, None, (64, 96))
    assert torch.allclose(latents, mode(vae, Image.new("RGB", (96, 64))), atol=1e-5)


def test_all_masks_are_moved_to_the_device_before_the_first_is_encoded(
    vae: AutoencoderKL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU each move waits for the encoding before it."""
    moved: list[int] = []
    from_numpy = torch.from_numpy

    def counted(pixels: np.ndarray) -> torch.Tensor:
        moved.append(len(pixels))
        return from_numpy(pixels)

    monkeypatch.setattr(torch, "from_numpy", counted)
    encoded = encode_pictures(vae, draw_region_masks(CHAIN.regions, (64, 96), "rounded"))
    assert moved == [len(CHAIN.regions)]
    for region, latents in zip(CHAIN.regions, encoded.split(1), strict=True):
        assert torch.equal(latents, spatial_latents(vae, [region], (64, 96), "rounded"))
