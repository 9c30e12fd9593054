"""The library and the reference implementation beside it arrive at the same latents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from got_models.chain.chain import ReasoningChain
from got_models.diffusion.box_masks import MASK_RULES
from got_models.diffusion.settings import GuidanceScales, SamplingSettings
from got_models.mllm.settings import GenerationSettings
from got_models.pipeline import GoTModel
from got_models.weights.checkpoint import read_settings, write_settings

from .reference import Reference

TWO_BOXES = (
    "A red circle <|box_start|>(102,203),(398,497)<|box_end|> (red) stands to the left of "
    "a blue square <|box_start|>(570,250),(890,700)<|box_end|> (green) on a white background."
)
SCALES = (4.0, 3.0, 1.5)
STEPS = 8


def source_picture() -> Image.Image:
    picture = Image.new("RGB", (200, 144), "white")
    ImageDraw.Draw(picture).ellipse((30, 30, 90, 90), fill=(230, 25, 25))
    ImageDraw.Draw(picture).rectangle((120, 40, 180, 100), fill=(40, 70, 230))
    return picture


CASES: dict[str, tuple[str, str, Image.Image | None, tuple[int, int], tuple[float, float, float]]] = {
    "generation": ("generate", TWO_BOXES, None, (128, 128), SCALES),
    "generation without the null branch": ("generate", TWO_BOXES, None, (128, 128), (3.0, 2.0, 1.0)),
    "a picture wider than high": ("generate", TWO_BOXES, None, (104, 160), SCALES),
    "editing": ("edit", "1. " + TWO_BOXES, source_picture(), (128, 128), SCALES),
    "no boxes": ("generate", "A plain white picture.", None, (128, 128), SCALES),
}


@pytest.fixture(scope="module", params=MASK_RULES)
def folder(
    request: pytest.FixtureRequest, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The checkpoint with one of the rules for masks in its settings."""
    folder = tmp_path_factory.mktemp(request.param)
    for part in checkpoint.iterdir():
        (folder / part.name).symlink_to(part)
    (folder / "got.json").unlink()
    write_settings(folder, replace(read_settings(checkpoint), mask_rule=request.param))
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> GoTModel:
    return GoTModel.from_pretrained(folder)


@pytest.fixture(scope="module")
def reference(folder: Path) -> Reference:
    return Reference(folder)


def library_latents(
    model: GoTModel,
    chain: ReasoningChain,
    source: Image.Image | None,
    size: tuple[int, int],
    scales: tuple[float, float, float],
) -> Tensor:
    guidance = model.encode(chain, source, size)
    return model.sample_latents(
        guidance, SamplingSettings(scales=GuidanceScales(*scales), seed=7, steps=STEPS, scheduler="ddpm")
    )


def decibels(picture: Image.Image, levels: np.ndarray) -> float:
    """The peak signal-to-noise ratio between two pictures."""
    error = np.square(np.asarray(picture, dtype=np.float64) - levels).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-12)))


@pytest.mark.parametrize("name", CASES)
def test_library_and_reference_give_the_same_latents_and_picture(
    model: GoTModel, reference: Reference, name: str
) -> None:
    task, text, source, size, scales = CASES[name]
    chain = ReasoningChain.parse(text, task, "a red circle to the left of a blue square")
    ours = library_latents(model, chain, source, size, scales)
    theirs = reference.latents(chain, source, size, scales, 7, STEPS)
    assert ours.shape == (1, 4, size[0] // 8, size[1] // 8)
    assert (ours - theirs).abs().max() < 1e-4
    assert decibels(model.decode(ours), reference.decode(theirs)) >= 60


def test_reference_sees_masks_drawn_by_another_rule(folder: Path, reference: Reference) -> None:
    """Boxes whose edges lie between pixels: a pixel more or less is far outside the tolerance above."""
    settings = read_settings(folder)
    (other,) = set(MASK_RULES) - {settings.mask_rule}
    model = GoTModel.from_pretrained(folder)
    model.settings = replace(settings, mask_rule=other)
    chain = ReasoningChain.parse(TWO_BOXES, "generate", "a red circle to the left of a blue square")
    ours = library_latents(model, chain, None, (128, 128), SCALES)
    theirs = reference.latents(chain, None, (128, 128), SCALES, 7, STEPS)
    assert decibels(model.decode(ours), reference.decode(theirs)) < 45


def test_reference_sees_a_box_that_moved_by_a_tenth(model: GoTModel, reference: Reference) -> None:
    """The comparison above is not blind: another box changes the latents by far more than its tolerance."""
    chain = ReasoningChain.parse(TWO_BOXES, "generate", "a red circle to the left of a blue square")
    moved = ReasoningChain.parse(TWO_BOXES.replace("102", "202"), "generate", chain.prompt)
    ours = library_latents(model, moved, None, (128, 128), SCALES)
    theirs = reference.latents(chain, None, (128, 128), SCALES, 7, STEPS)
    assert (ours - theirs).abs().max() > 1e-2


@pytest.mark.parametrize("task", ["generate", "edit"])
def test_same_seed_gives_the_same_bytes_twice(checkpoint: Path, task: str) -> None:
    source = source_picture() if task == "edit" else None
    pictures = []
    for _ in range(2):
        model = GoTModel.from_pretrained(checkpoint)
        chain = model.reason(
            "a red circle", source, settings=GenerationSettings(temperature=1.0, seed=3, max_new_tokens=40)
        )
        pictures.append(
            model.sample(model.encode(chain, source), SamplingSettings(seed=11, steps=3)).tobytes()
        )
    assert pictures[0] == pictures[1]


def test_another_seed_gives_another_picture(model: GoTModel) -> None:
    guidance = model.encode(ReasoningChain.parse(TWO_BOXES, "generate", "two shapes"))
    first, second = (model.sample_latents(guidance, SamplingSettings(seed=seed, steps=2)) for seed in (1, 2))
    assert not torch.allclose(first, second, atol=0.1)
