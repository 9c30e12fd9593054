"""Pictures and tensors: conversions lose nothing."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from got_pack.got_models.chain.chain import Box, ReasoningChain, Region
from got_pack.got_models.diffusion.box_masks import MASK_RULES, draw_region_masks
from got_pack.got_models.errors import GoTError
from got_pack.nodes._comfy import folders
from got_pack.nodes._images import (
    hidream_layout,
    image_to_pictures,
    pictures_to_image,
    region_masks,
    resize_image,
)
from got_pack.nodes.loaders import GoTModelLoader
from PIL import Image, ImageDraw


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


def test_a_picture_of_the_right_size_is_not_touched_by_resizing() -> None:
    image = noise(1, 6, 8, 3)
    assert resize_image(image, (6, 8)) is image
    assert resize_image(image, (3, 4)).shape == (1, 3, 4, 3)


MANY_BOXES = " and ".join(f"a dot ({15 * n},{14 * n}),({15 * n + 20},{14 * n + 31})" for n in range(64))


@pytest.mark.parametrize("rule", MASK_RULES)
@pytest.mark.parametrize("text", ["Nothing.", "A red circle (250,250),(999,499).", MANY_BOXES])
def test_masks_show_what_the_model_sees(text: str, rule: str) -> None:
    regions = ReasoningChain.parse(text, "generate", "x").regions
    expected = pictures_to_image(draw_region_masks(regions, (48, 72), rule))
    assert torch.equal(region_masks(regions, (48, 72), rule), expected)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux how much memory is in use")
def test_masks_that_nobody_looks_at_take_up_little_memory() -> None:
    """ComfyUI keeps every output of a node: as plain tensors these would be 805 MB."""

    def in_use() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = in_use()
    masks = region_masks(ReasoningChain.parse(MANY_BOXES, "generate", "x").regions, (1024, 1024), "published")
    assert masks.nbytes > 8e8
    assert in_use() - before < 2e8


# The loader's list


@pytest.fixture
def model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """models/got: without ComfyUI, the one in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models" / "got"
    (folder / "mine").mkdir(parents=True)
    (folder / "mine" / "got.json").write_text("{}")
    (folder / ".cache").mkdir()
    (folder / "notes.txt").write_text("no checkpoint")
    return folder


def test_the_loader_lists_the_bundled_checkpoint_and_every_folder(model_folder: Path) -> None:
    assert GoTModelLoader.INPUT_TYPES()["required"]["checkpoint"][0] == ["tiny (bundled)", "mine"]
    assert folders.checkpoint_folder("mine").resolve() == model_folder / "mine"


@pytest.mark.parametrize("name", ["../../etc", "gone", "", ".", "..", "mine/", "notes.txt", "/etc"])
def test_a_name_that_is_not_listed_is_refused_with_where_to_put_checkpoints(
    model_folder: Path, name: str
) -> None:
    refusal = str(GoTModelLoader.VALIDATE_INPUTS(name))
    assert "Put its folder" in refusal
    assert "GoT Import Checkpoint" in refusal
    with pytest.raises(
        GoTError, match=r"There is no GoT checkpoint .*models.got.*There now: tiny \(bundled\)"
    ):
        GoTModelLoader().load(name, "auto")


def test_an_incomplete_folder_is_refused_with_what_it_lacks(model_folder: Path) -> None:
    assert GoTModelLoader.VALIDATE_INPUTS("mine") is True
    with pytest.raises(GoTError, match=r"lacks mllm/config\.json"):
        GoTModelLoader().load("mine", "float32")


def published_layout(boxes: list[tuple[int, int, int, int]], width: int, height: int) -> Image.Image:
    """HiDream-O1's layout picture as models/utils.py of HiDream-ai/HiDream-O1-Image draws it, with Pillow."""
    colors = [(255, 0, 0), (0, 180, 0), (0, 0, 255), (204, 180, 0), (255, 0, 255)]
    thickest = int((width * height) ** 0.5 * 0.05)
    gap = max(1, thickest // 5)
    pixels = []
    for x1, y1, x2, y2 in boxes:
        left, right = (max(0, min(width - 1, round(x / 1000 * width))) for x in (x1, x2))
        top, bottom = (max(0, min(height - 1, round(y / 1000 * height))) for y in (y1, y2))
        pixels.append([left, top, right, bottom])
    pixels.sort(key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), reverse=True)
    picture = Image.new("RGB", (width, height))
    for place, box in enumerate(pixels[:5]):
        line = max(thickest - place * gap, 5)
        ImageDraw.Draw(picture).rectangle(box, outline=colors[place], width=line)
    return picture


@pytest.mark.parametrize("size", [(2048, 2048), (3104, 1312), (333, 500), (64, 64)])
def test_hidreams_layout_picture_is_the_published_one(size: tuple[int, int]) -> None:
    width, height = size
    dice = random.Random(width)
    boxes = []
    for _ in range(7):
        x, y = dice.randrange(800), dice.randrange(800)
        boxes.append((x, y, dice.randrange(x + 60, 1000), dice.randrange(y + 60, 1000)))
    regions = [Region("a thing", Box(*box), "red", (0, 0)) for box in boxes]
    drawn = image_to_pictures(hidream_layout(regions, (height, width)))[0]
    assert np.array_equal(np.asarray(drawn), np.asarray(published_layout(boxes, width, height)))
    assert hidream_layout([], (8, 8)).sum() == 0
