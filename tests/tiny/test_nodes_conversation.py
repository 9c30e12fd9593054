"""Edit Image in Turns, as a workflow runs it, without ComfyUI: what the library's conversation gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from got_pack.got_models.diffusion.settings import SamplingSettings
from got_pack.got_models.errors import GoTError
from got_pack.nodes._images import image_to_pictures, pictures_to_image
from got_pack.nodes._model import ManagedModel
from got_pack.nodes.conversation import GoTConverse

from .test_conversation import DRAW, FIRST, PROMPT, SCRIPT, SECOND, SOURCE, scripted

IMAGE = pictures_to_image([SOURCE])


@pytest.fixture(scope="module")
def got(checkpoint: Path) -> ManagedModel:
    return ManagedModel.open(checkpoint)


def converse(got: ManagedModel, image: torch.Tensor | None = IMAGE, **changes: Any) -> Any:
    widgets = {"prompt": PROMPT, "turns": 4, "seed": 5, "steps": 2, "scheduler": "ddpm", "width": 96}
    scales = {"semantic_scale": 2.0, "spatial_scale": -1.0, "reference_scale": -1.0}
    widgets |= {**scales, "keep_outside_boxes": True, "height": 64, **changes}
    return GoTConverse().converse(got, **widgets, image=image)


@pytest.mark.parametrize("image", [IMAGE, None], ids=["edit", "generate"])
def test_every_turn_is_in_the_batch_and_its_plan_in_the_list(
    got: ManagedModel, image: torch.Tensor | None
) -> None:
    source = None if image is None else image_to_pictures(image)[0]
    with scripted(got, SCRIPT):
        images, chains, text = converse(got, image)["result"]
    with scripted(got, SCRIPT):
        expected = list(
            got.converse(PROMPT, source).turns(
                4,
                size=(64, 96),
                scales={"semantic": 2.0},
                drawing=SamplingSettings(seed=5, steps=2, scheduler="ddpm"),
            )
        )
    assert [chain.text for chain in chains] == [FIRST, SECOND]
    assert text == f"{FIRST}\n\n{SECOND}"
    drawn = image_to_pictures(images)
    assert all(np.array_equal(one, turn.picture) for one, turn in zip(drawn, expected, strict=True))
    assert images.shape == (2, 64, 96, 3)


def test_one_turn_is_one_picture(got: ManagedModel) -> None:
    with scripted(got, [FIRST + DRAW]) as remaining:
        images, chains, _ = converse(got, turns=1)["result"]
    assert (len(images), len(chains), remaining) == (1, 1, [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"turns": 0}, "'turns' takes"),
        ({"turns": "two"}, "'turns' takes"),
        ({"prompt": " "}, "prompt is empty"),
        ({"width": 72, "height": 30}, "height must be"),
        ({"image": torch.zeros(0, 8, 8, 3)}, "batch is empty"),
    ],
)
def test_what_cannot_be_used_is_refused(got: ManagedModel, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GoTError, match=message):
        converse(got, **changes)
