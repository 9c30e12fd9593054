"""An edit leaves alone what lies outside its boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from got_models.chain.chain import ReasoningChain
from got_models.diffusion.harmonizing import dilated
from got_models.edit_area import edited_area, keep_outside_boxes, paste, paste_latents

REGIONS = ReasoningChain.parse("A red circle (250,250),(500,500).", "edit", "x").regions


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def picture(seed: int, width: int, height: int) -> Image.Image:
    """Dark noise for an odd seed and bright noise for an even one, which have nothing in common."""
    levels = np.random.default_rng(seed).integers(0, 100, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(levels if seed % 2 else 255 - levels)


def ground(*color: float, side: int = 128) -> torch.Tensor:
    """A picture [1, side, side, 3] of one colour that darkens by 40 levels from left to right."""
    darker = torch.linspace(0, 40 / 255, side)[None, None, :, None]
    return torch.tensor(color).expand(1, side, side, 3) - darker


def test_an_edit_may_change_the_box_and_a_soft_edge_around_it_but_nothing_else() -> None:
    area = edited_area(REGIONS, (128, 256))
    assert area[32:64, 64:128].min() == 1
    edge = area[48, 56:64]
    assert torch.all(edge.diff() >= 0)
    assert 0 < edge[-2] < 1
    area[30:66, 62:130] = 0  # the box and two pixels around it
    assert area.max() == 0


@pytest.mark.parametrize(("side", "rim"), [(128, 1), (512, 4)])
def test_the_smooth_edge_of_a_thing_that_reaches_out_of_its_box_is_drawn_anew(side: int, rim: int) -> None:
    """What is left of it would be a thin outline of what was removed."""
    area = edited_area(REGIONS, (side, side))
    box = REGIONS[0].box.to_pixels(side, side)
    left, top = box[0] - rim, box[1] - rim
    assert area[top, left] == 1
    assert area[top, left - 1] < 1


def test_outside_the_boxes_the_source_is_kept_bit_for_bit() -> None:
    source, drawn = noise(1, 128, 128, 3) / 3, 1 - noise(1, 128, 128, 3) / 3
    area = edited_area(REGIONS, (128, 128))
    result = paste(drawn, source, area)
    assert torch.equal(result[:, area == 0], source[:, area == 0])
    assert torch.equal(result[:, area == 1], (drawn[:, area == 1] * 255).round() / 255)


def test_what_was_drawn_and_its_soft_edge_have_eight_bits_so_that_every_file_holds_the_same() -> None:
    source, drawn = (noise(1, 128, 128, 3) * 255).round() / 255, torch.zeros(1, 128, 128, 3)
    levels = paste(drawn, source, edited_area(REGIONS, (128, 128))) * 255
    assert torch.equal(levels.round() / 255 * 255, levels)


def test_pasting_works_where_the_pictures_are() -> None:
    """ComfyUI may keep results on the card (--gpu-only); areas are made on the CPU."""
    image, latents = torch.zeros(1, 16, 16, 3, device="meta"), torch.zeros(1, 4, 2, 2, device="meta")
    area = edited_area(REGIONS, (16, 16))
    assert paste(image, image, area).is_meta
    assert paste_latents(latents, latents, area).is_meta


def test_a_chain_without_boxes_changes_the_whole_picture() -> None:
    drawn = noise(1, 16, 16, 3)
    pasted = paste(drawn, torch.zeros_like(drawn), edited_area((), (16, 16)))
    assert torch.equal(pasted, (drawn * 255).round() / 255)


def test_latents_are_kept_where_the_picture_is() -> None:
    source, drawn = torch.zeros(1, 4, 16, 16), torch.ones(1, 4, 16, 16)
    result = paste_latents(drawn, source, edited_area(REGIONS, (128, 128)))
    assert result[0, 0, 4:8, 4:8].min() == 1
    assert result[0, 0, :3].max() == 0


def test_pictures_keep_their_source_outside_the_boxes_and_nothing_of_it_inside() -> None:
    drawn, source = picture(1, 256, 128), picture(2, 256, 128)
    kept = np.asarray(keep_outside_boxes(drawn, source, REGIONS))
    area = edited_area(REGIONS, (128, 256)).numpy()
    assert (kept[area == 0] == np.asarray(source)[area == 0]).all()
    assert (kept[area == 1] == np.asarray(drawn)[area == 1]).all()
    assert keep_outside_boxes(drawn, source, ()).tobytes() == drawn.tobytes()


@pytest.mark.parametrize("size", [(1500, 1001), (64, 32), (31, 47)])
def test_a_photo_keeps_its_size_and_outside_the_boxes_every_byte(size: tuple[int, int]) -> None:
    drawn, source = picture(1, 128, 128), picture(2, *size)
    kept = keep_outside_boxes(drawn, source, REGIONS)
    assert kept.size == size
    area = edited_area(REGIONS, size[::-1]).numpy()
    assert (np.asarray(kept)[area == 0] == np.asarray(source)[area == 0]).all()
    enlarged = np.asarray(drawn.resize(size, Image.Resampling.LANCZOS))
    assert (np.asarray(kept)[area == 1] == enlarged[area == 1]).all()


@pytest.mark.parametrize("side", [128, 1500])
def test_the_ground_in_a_box_gets_the_tone_that_it_has_around_it_and_a_new_thing_keeps_its_colour(
    side: int,
) -> None:
    source = ground(0.8, 0.8, 0.7, side=side)
    drawn = ground(0.76, 0.78, 0.72, side=side) + torch.linspace(-0.03, 0.03, side)[None, :, None, None]
    red, thing = torch.tensor([0.9, 0.1, 0.1]), slice(side * 5 // 16, side * 7 // 16)
    drawn[:, thing, thing] = red
    result = paste(drawn, source, edited_area(REGIONS, (side, side)))
    off = (result - source).abs().amax(dim=-1)[0]
    off[thing, thing] = 0
    assert off.max() < 3 / 255
    assert (result[:, thing, thing] - red).abs().max() < 1 / 255


@pytest.mark.parametrize("reach", [1, 2, 5, 11])
def test_a_mask_grows_by_as_many_pixels_as_asked_for_and_has_no_holes(reach: int) -> None:
    mask = torch.zeros(1, 1, 41, 41)
    mask[0, 0, 20, 20] = 1
    grown = dilated(mask, reach)
    assert grown.sum() == (2 * reach + 1) ** 2
    assert grown[0, 0, 20 - reach, 20 + reach] == 1


def test_a_box_is_left_as_it_was_drawn_where_its_surroundings_show_something_else() -> None:
    source, drawn = ground(0.9, 0.9, 0.9), ground(0.3, 0.5, 0.3)
    area = edited_area(REGIONS, (128, 128))
    result = paste(drawn, source, area)
    assert torch.equal(result[:, area == 1], (drawn[:, area == 1] * 255).round() / 255)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5)])
def test_the_smallest_pictures_can_be_pasted_into(size: tuple[int, int]) -> None:
    source = noise(2, *size, 3)
    assert paste(source, source, edited_area(REGIONS, size)).isfinite().all()
