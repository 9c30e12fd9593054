"""GoT Regional Conditioning on a trained model: each object appears in its own region.

The painter is a small SDXL that never saw a region. `painter_probe.py` draws in ComfyUI's own Python, and the
pictures are judged here. GOT_REGIONAL_PROOF=1 draws 100 plans in every variant, which takes eight minutes.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from .painter_plans import JUDGES, PainterPlan, sample_plans, share_right
from .place import ComfyUI

PROBE = Path(__file__).with_name("painter_probe.py")
FIXTURE = Path(__file__).parents[1] / "fixtures" / "painter"
MOST_BYTES = 6 * 1024**2
FEW, MANY = 12, 100
Pictures = dict[str, list[Image.Image]]
proof = pytest.mark.skipif(
    "GOT_REGIONAL_PROOF" not in os.environ, reason="GOT_REGIONAL_PROOF=1 takes eight minutes"
)


def drawn(comfyui: ComfyUI, folder: Path, count: int, *variants: str) -> Pictures:
    """The pictures of each variant, in the order of the plans; those of a batch one after the other."""
    command = [comfyui.python, PROBE, comfyui.folder, folder, "proof", count, *variants]
    result = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=10000, check=False
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return {
        variant: [
            Image.open(file).convert("RGB")
            for number in range(count)
            for file in sorted(folder.glob(f"{variant}-{number}-*.png"))
        ]
        for variant in variants
    }


def in_regions(pictures: Sequence[Image.Image], plans: Sequence[PainterPlan]) -> dict[str, float]:
    """The share of objects in their regions, by each judge; a batch's pictures are of one plan."""
    each = len(pictures) // len(plans)
    repeated = [plan for plan in plans for _ in range(each)]
    return {judge: share_right(judge, pictures, repeated) for judge in JUDGES}


@pytest.fixture(scope="module")
def few(comfyui: ComfyUI, tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    plain = [f"{kind}, no {what}" for kind in ("lora", "control") for what in ("regions", "share")]
    variants = ["regions", "no regions", "moved", "all", *plain]
    return drawn(comfyui, tmp_path_factory.mktemp("few"), FEW, *variants)


def test_objects_are_in_their_regions_and_without_regions_anywhere(few: Pictures) -> None:
    plans = sample_plans("proof", FEW)
    assert min(in_regions(few["regions"], plans).values()) >= 0.75
    assert max(in_regions(few["no regions"], plans).values()) <= 0.5


def test_an_object_follows_its_region(few: Pictures) -> None:
    plans = sample_plans("proof", FEW)
    moved = [plan.moved() for plan in plans]
    assert min(in_regions(few["moved"], moved).values()) >= 0.75
    assert max(in_regions(few["regions"], moved).values()) <= 0.65  # one of the two has not moved


def test_a_batch_with_a_lora_a_controlnet_and_eight_bit_weights_keeps_its_regions(few: Pictures) -> None:
    plans = sample_plans("proof", FEW)
    assert len(few["all"]) == 2 * FEW
    assert min(in_regions(few["all"], plans).values()) >= 0.7
    assert difference(few["all"][::2], few["regions"]) > 2.0  # all that changes the pictures
    assert difference(few["all"][::2], few["all"][1::2]) > 2.0  # the batch's pictures differ


@pytest.mark.parametrize("kind", ["lora", "control"])
def test_regions_without_a_share_leave_the_picture_as_it_is_without_them(few: Pictures, kind: str) -> None:
    assert difference(few[f"{kind}, no regions"], few["no regions"]) > 2.0
    assert difference(few[f"{kind}, no share"], few[f"{kind}, no regions"]) < 0.1


@proof
@pytest.mark.parametrize("variant", ["regions", "batch", "cfg", "lora", "control", "fp8", "moved"])
def test_of_a_hundred_plans_nine_of_ten_objects_are_in_their_regions(many: Pictures, variant: str) -> None:
    plans = sample_plans("proof", MANY)
    if variant == "moved":
        plans = [plan.moved() for plan in plans]
    shares = in_regions(many[variant], plans)
    print(variant, shares)
    assert min(shares.values()) >= 0.9


@proof
def test_of_a_hundred_plans_half_at_most_are_there_without_regions(many: Pictures) -> None:
    shares = in_regions(many["no regions"], sample_plans("proof", MANY))
    print("no regions", shares)
    assert max(shares.values()) <= 0.5


@pytest.fixture(scope="module")
def many(comfyui: ComfyUI, tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    variants = ["regions", "no regions", "moved", "batch", "cfg", "lora", "control", "fp8"]
    return drawn(comfyui, tmp_path_factory.mktemp("many"), MANY, *variants)


def test_the_fixture_is_small_and_unpublished() -> None:
    assert 0 < sum(file.stat().st_size for file in FIXTURE.rglob("*") if file.is_file()) <= MOST_BYTES
    left_out = (Path(__file__).parents[2] / ".comfyignore").read_text(encoding="utf-8").splitlines()
    assert "/tests/" in left_out


# --- the judges -----------------------------------------------------------------------------------

PLAN = PainterPlan("white", (("red", "circle"), ("blue", "square")), ((4, 4, 60, 60), (68, 64, 124, 124)), 0)


def red_circle(canvas: ImageDraw.ImageDraw, left: int, top: int) -> None:
    canvas.ellipse((left, top, left + 31, top + 31), fill=(230, 25, 25))


def blue_square(canvas: ImageDraw.ImageDraw, left: int, top: int) -> None:
    canvas.rectangle((left, top, left + 31, top + 31), fill=(40, 70, 230))


@pytest.mark.parametrize("judge", list(JUDGES))
@pytest.mark.parametrize(
    ("circle", "square", "right"),
    [
        pytest.param((16, 16), (80, 80), [True, True], id="both in their regions"),
        pytest.param((80, 80), (16, 16), [False, False], id="exchanged"),
        pytest.param((44, 16), (80, 80), [False, True], id="half outside"),
        pytest.param((16, 16), (16, 96), [True, False], id="one elsewhere"),
    ],
)
def test_the_judges_see_what_is_where(
    judge: str, circle: tuple[int, int], square: tuple[int, int], right: list[bool]
) -> None:
    picture = Image.new("RGB", (128, 128), "white")
    red_circle(ImageDraw.Draw(picture), *circle)
    blue_square(ImageDraw.Draw(picture), *square)
    assert JUDGES[judge](picture, PLAN) == right


@pytest.mark.parametrize("judge", list(JUDGES))
def test_the_judges_want_the_right_shape(judge: str) -> None:
    picture = Image.new("RGB", (128, 128), "white")
    canvas = ImageDraw.Draw(picture)
    blue_square(canvas, 80, 80)
    canvas.rectangle((16, 16, 47, 47), fill=(230, 25, 25))
    assert JUDGES[judge](picture, PLAN) == [False, True]


def difference(some: Sequence[Image.Image], others: Sequence[Image.Image]) -> float:
    """Between pictures, on average over all pixels, of 255."""
    pairs: list[tuple[np.ndarray, np.ndarray]] = [
        (np.asarray(one, dtype=np.float32), np.asarray(other, dtype=np.float32))
        for one, other in zip(some, others, strict=True)
    ]
    return float(np.mean([np.abs(one - other).mean() for one, other in pairs]))
