"""Speed came last: what was saved before it keeps its place and its meaning."""

from __future__ import annotations

import got_pack
import pytest
from got_pack.got_models.diffusion.settings import GuidanceScales, SamplingSettings
from got_pack.got_models.diffusion.speed import Defaults, resolved
from got_pack.nodes._speed import AUTO, sampling_settings

SCALES = ["semantic_scale", "spatial_scale", "reference_scale"]
SAVED_BEFORE = {
    "GoTSampler": ["seed", "steps", "scheduler", *SCALES, "keep_outside_boxes", "batch_size"],
    "GoTPickBest": ["attempts", "seed", "steps", "scheduler", *SCALES],
    "GoTConverse": [
        *("prompt", "turns", "seed", "steps", "scheduler", *SCALES),
        *("keep_outside_boxes", "width", "height"),
    ],
    "GoTGuider": SCALES,
}
OWN = Defaults(GuidanceScales(3.0, 2.0, 1.0), 50, "fast")


@pytest.mark.parametrize("name", SAVED_BEFORE)
def test_speed_is_optional_and_behind_every_widget_that_workflows_have_saved(name: str) -> None:
    types = got_pack.NODE_CLASS_MAPPINGS[name].INPUT_TYPES()
    sockets = {"model", "guidance", "image"}
    assert [key for key in types["required"] if key not in sockets] == SAVED_BEFORE[name]
    assert [key for key in types["optional"] if key not in sockets] == ["speed"]
    assert types["optional"]["speed"][1]["default"] == AUTO
    assert types["required"].get("scheduler", [["ddpm"]])[0][0] == "ddpm"


@pytest.mark.parametrize(
    ("steps", "scheduler", "expected"),
    [(0, "ddpm", (50, "ddpm")), (20, "euler", (20, "euler")), (0, "unipc", (50, "unipc"))],
)
def test_what_was_saved_without_a_speed_draws_as_it_did(
    steps: int, scheduler: str, expected: tuple[int, str]
) -> None:
    settings = resolved(sampling_settings(None, 1, steps, scheduler, AUTO), "generate", OWN, None)
    assert (settings.steps, settings.scheduler) == expected


def test_a_new_node_draws_at_the_checkpoints_own_speed() -> None:
    assert sampling_settings(None, 1, 0, AUTO, AUTO) == SamplingSettings(seed=1)
    assert resolved(SamplingSettings(seed=1), "generate", OWN, None).speed == "fast"
