"""Pictures and tensors: conversions lose nothing, and edits leave alone what they should."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from got_pack.got_models.chain import ReasoningChain
from got_pack.got_models.errors import GoTError
from got_pack.nodes import _comfy
from got_pack.nodes._images import (
    edited_area,
    image_to_pictures,
    paste,
    paste_latents,
    pictures_to_image,
    resize_image,
)
from got_pack.nodes.loaders import GoTModelLoader

REGIONS = ReasoningChain.parse("A red circle (250,250),(500,500).", "edit", "x").regions


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_eight_bit_pictures_survive_the_way_to_the_library_and_back() -> None:
    image = (noise(2, 5, 7, 3) * 255).round() / 255
    assert torch.equal(pictures_to_image(image_to_pictures(image)), image)


def test_transparency_is_dropped() -> None:
    image = noise(1, 4, 4, 4)
    assert image_to_pictures(image)[0].mode == "RGB"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(0, 8, 8, 3), "batch is empty"),
        (torch.zeros(8, 8, 3), "must be"),
        (torch.zeros(1, 8, 8, 1), "must be"),
        (torch.zeros(1, 8, 800, 3), "at most 16 times"),
        (torch.full((1, 8, 8, 3), torch.nan), "NaN"),
        (torch.full((1, 8, 8, 3), 255, dtype=torch.uint8), "fractions from 0 to 1"),
    ],
)
def test_images_that_cannot_be_used_are_refused(image: torch.Tensor, message: str) -> None:
    with pytest.raises(GoTError, match=message):
        image_to_pictures(image)


def test_an_edit_may_change_the_box_and_a_soft_edge_around_it_but_nothing_else() -> None:
    area = edited_area(REGIONS, (128, 256))
    assert area[32:64, 64:128].min() == 1
    edge = area[48, 56:64]
    assert torch.all(edge.diff() >= 0)
    assert 0 < edge[-1] < 1
    area[30:66, 62:130] = 0  # the box and two pixels around it
    assert area.max() == 0


def test_outside_the_boxes_the_source_is_kept_bit_for_bit() -> None:
    source, drawn = noise(1, 128, 128, 3), 1 - noise(1, 128, 128, 3)
    area = edited_area(REGIONS, (128, 128))
    result = paste(drawn, source, area)
    assert torch.equal(result[:, area == 0], source[:, area == 0])
    assert torch.equal(result[:, area == 1], drawn[:, area == 1])


def test_pasting_works_where_the_pictures_are() -> None:
    """ComfyUI may keep results on the card (--gpu-only); areas are made on the CPU."""
    image, latents = torch.zeros(1, 16, 16, 3, device="meta"), torch.zeros(1, 4, 2, 2, device="meta")
    area = edited_area(REGIONS, (16, 16))
    assert paste(image, image, area).is_meta
    assert paste_latents(latents, latents, area).is_meta


def test_a_chain_without_boxes_changes_the_whole_picture() -> None:
    drawn = noise(1, 16, 16, 3)
    assert torch.equal(paste(drawn, torch.zeros_like(drawn), edited_area((), (16, 16))), drawn)


def test_latents_are_kept_where_the_picture_is() -> None:
    source, drawn = torch.zeros(1, 4, 16, 16), torch.ones(1, 4, 16, 16)
    result = paste_latents(drawn, source, edited_area(REGIONS, (128, 128)))
    assert result[0, 0, 4:8, 4:8].min() == 1
    assert result[0, 0, :3].max() == 0


def test_a_picture_of_the_right_size_is_not_touched_by_resizing() -> None:
    image = noise(1, 6, 8, 3)
    assert resize_image(image, (6, 8)) is image
    assert resize_image(image, (3, 4)).shape == (1, 3, 4, 3)


# The loader's list


@pytest.fixture
def model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """models/got: without ComfyUI, the one in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models" / "got"
    (folder / "mine").mkdir(parents=True)
    (folder / ".cache").mkdir()
    (folder / "notes.txt").write_text("no checkpoint")
    return folder


def test_the_loader_lists_the_bundled_checkpoint_and_every_folder(model_folder: Path) -> None:
    assert GoTModelLoader.INPUT_TYPES()["required"]["checkpoint"][0] == ["tiny (bundled)", "mine"]
    assert _comfy.checkpoint_folder("mine").resolve() == model_folder / "mine"


@pytest.mark.parametrize("name", ["../../etc", "gone", "", ".", "..", "mine/", "notes.txt", "/etc"])
def test_a_name_that_is_not_listed_is_refused_with_where_to_put_checkpoints(
    model_folder: Path, name: str
) -> None:
    assert "Put its folder" in str(GoTModelLoader.VALIDATE_INPUTS(name))
    with pytest.raises(
        GoTError, match=r"There is no GoT checkpoint .*models.got.*There now: tiny \(bundled\)"
    ):
        GoTModelLoader().load(name, "auto")


def test_an_incomplete_folder_is_refused_with_what_it_lacks(model_folder: Path) -> None:
    assert GoTModelLoader.VALIDATE_INPUTS("mine") is True
    with pytest.raises(GoTError, match=r"lacks got\.json"):
        GoTModelLoader().load("mine", "float32")
