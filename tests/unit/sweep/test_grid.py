"""Grids of pictures, and heat maps of what the branches add."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from got_models.diffusion.guidance import BRANCHES
from got_models.diffusion.sampler import Step
from got_models.diffusion.settings import GuidanceScales, SamplingSettings
from got_models.errors import GoTError
from got_models.sweep.axes import read_axis
from got_models.sweep.branches import BranchRecorder, heat
from got_models.sweep.drawing import sweep

SETTINGS = SamplingSettings(GuidanceScales(4.0, 3.0, 1.5), steps=8)


def shade(settings: SamplingSettings) -> Image.Image:
    """A picture whose red is the seed and whose green the spatial scale."""
    assert settings.scales
    return Image.new("RGB", (160, 160), (settings.seed, int(settings.scales.spatial), 0))


def test_columns_and_rows_hold_their_values() -> None:
    swept = sweep(
        shade, SETTINGS, read_axis("seed", "10, 20, 30"), read_axis("spatial", "40, 50"), lambda _: "x"
    )
    assert [[picture.getpixel((0, 0))[:2] for picture in row] for row in swept.pictures] == [
        [(10, 40), (20, 40), (30, 40)],
        [(10, 50), (20, 50), (30, 50)],
    ]
    colors = {color for _, color in swept.sheet().getcolors(2**20) or []}
    assert {(10, 40, 0), (30, 50, 0), (255, 255, 255), (0, 0, 0)} <= colors


@pytest.mark.parametrize("across", [True, False])
def test_an_adapter_has_its_strength_before_each_picture_is_drawn(across: bool) -> None:
    strengths: list[float] = []
    adapter, seed = read_axis("adapter", "0, 0.5"), read_axis("seed", "1, 2")

    def draw(settings: SamplingSettings) -> Image.Image:
        return Image.new("RGB", (160, 160), (int(10 * strengths[-1]), settings.seed, 0))

    axes = (adapter, seed) if across else (seed, adapter)
    pictures = sweep(draw, SETTINGS, *axes, set_strength=strengths.append).pictures
    drawn = [[picture.getpixel((0, 0))[:2] for picture in row] for row in pictures]
    expected = [[(0, 1), (5, 1)], [(0, 2), (5, 2)]]
    assert drawn == (expected if across else [list(column) for column in zip(*expected, strict=True)])
    with pytest.raises(GoTError, match="no adapter"):
        sweep(shade, SETTINGS, *axes)


def test_one_axis_makes_one_row() -> None:
    swept = sweep(shade, SETTINGS, read_axis("seed", "1, 2"))
    assert [len(row) for row in swept.pictures] == [2]
    assert swept.sheet().width > 2 * 160


def test_long_titles_have_room_beside_each_other() -> None:
    swept = sweep(shade, SETTINGS, read_axis("seed", f"{2**63 - 1}, {2**63 - 2}"))
    titles = swept.sheet().crop((0, 0, swept.sheet().width, 24)).convert("L")
    dark = [min(titles.getpixel((x, y)) for y in range(24)) < 200 for x in range(titles.width)]
    gaps = "".join("#" if one else " " for one in dark).strip().split(" " * 8)
    assert len([words for words in gaps if words.strip()]) == 2 and not dark[-1]


def step(**branches: torch.Tensor) -> Step:
    nothing = torch.zeros(1, 4, 2, 2)
    return Step(1, 2, nothing, nothing, dict.fromkeys(BRANCHES, nothing) | branches)


def test_what_boxes_add_is_the_full_branch_without_the_semantic_one() -> None:
    full = torch.zeros(1, 4, 2, 2)
    full[:, :, 0, 1] = 2.0
    recorder = BranchRecorder()
    recorder.record(step(full=full))
    assert torch.equal(recorder.steps[0]["boxes"], torch.tensor([[0.0, 2.0], [0.0, 0.0]]))
    only_boxes = recorder.picture()
    recorder.record(step(full=full, null=full))
    assert recorder.picture().height > only_boxes.height  # a row more, for the source


def test_branches_that_predict_the_same_have_nothing_to_show() -> None:
    recorder = BranchRecorder()
    recorder.record(step())
    with pytest.raises(GoTError, match="All branches of the guidance predict the same"):
        recorder.picture()


def test_heat_goes_from_black_to_pale_yellow() -> None:
    shown = heat(torch.tensor([[0.0, 0.5, 1.0]]), 1.0)
    assert [shown.getpixel((8 * x, 0)) for x in range(3)] == [(0, 0, 0), (235, 90, 20), (255, 255, 190)]
