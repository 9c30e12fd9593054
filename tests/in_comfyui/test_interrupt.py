"""Stop stops at once, and leaves the server as if nothing had happened."""

from __future__ import annotations

import numpy as np
import pytest

from got_models.diffusion.settings import SamplingSettings
from got_models.mllm.settings import GenerationSettings
from got_models.pipeline import GoTModel

from .browser import Frontend
from .conftest import SERVED, Checkpoint
from .prompts import CAPTION, CHAIN, Prompt, changed, drawing, native, reasoning
from .server import Server

STOP_AT = 4
MORE_TOKENS, MORE_STEPS = 2, 1


def evaluations_after_stop(server: Server, prompt: Prompt, kind: str) -> int:
    """How often the module of this class runs once Stop was pressed, during its evaluation number STOP_AT."""
    server.post("/test/stop", {"kind": kind, "count": STOP_AT})
    run = server.run(prompt)
    evaluations: int = server.get_json("/test/evaluations")
    assert run.interrupted
    assert evaluations >= STOP_AT
    return evaluations - STOP_AT


def assert_reasoning_is_right(server: Server, checkpoint: Checkpoint, library: GoTModel) -> None:
    run = server.run(reasoning(checkpoint.name))
    expected = library.reason(CAPTION, settings=GenerationSettings(max_new_tokens=12, temperature=None))
    assert run.outputs["shown"]["text"] == [expected.text]


def test_reasoning_stops_within_two_tokens_and_the_next_run_is_right(
    server: Server, checkpoint: Checkpoint, library: GoTModel
) -> None:
    long = reasoning(checkpoint.name, most_tokens=60)
    assert evaluations_after_stop(server, long, "Qwen2_5_VLModel") <= MORE_TOKENS
    assert_reasoning_is_right(server, checkpoint, library)


def test_sampling_stops_within_one_step_and_the_next_run_is_right(
    server: Server, checkpoint: Checkpoint, library: GoTModel
) -> None:
    long = drawing(checkpoint.name, steps=40)
    assert evaluations_after_stop(server, long, "UNet2DConditionModel") <= MORE_STEPS

    (drawn,) = server.pictures(server.run(drawing(checkpoint.name)), "save")
    expected = library.sample(library.encode(CHAIN), SamplingSettings(seed=1, steps=3, scheduler="ddpm"))
    difference = np.asarray(drawn, dtype=float) - np.asarray(expected, dtype=float)
    assert np.abs(difference).max() <= 2  # of 255 levels; the two run on different versions of torch


def test_native_sampling_stops_within_one_step_and_the_next_run_is_right(
    server: Server, checkpoint: Checkpoint
) -> None:
    prompt = native(checkpoint.name)
    (before,) = server.pictures(server.run(prompt), "save")

    long = changed(prompt, "sigmas", steps=40)
    assert evaluations_after_stop(server, long, "UNetModel") <= MORE_STEPS

    # A new seed and back: so that the picture is drawn again, and does not come from the cache.
    assert server.run(changed(prompt, "noise", noise_seed=2)).succeeded
    run = server.run(prompt)
    assert "draw" not in run.cached
    (after,) = server.pictures(run, "save")
    assert after.tobytes() == before.tobytes()


@pytest.mark.parametrize("frontend", [SERVED], indirect=True)
def test_stop_pressed_in_the_page_stops_sampling_and_the_next_run_is_right(
    frontend: Frontend, checkpoint: Checkpoint, library: GoTModel
) -> None:
    # Not while reasoning: the bundled model writes faster than a page can stop it.
    frontend.load_prompt(drawing(checkpoint.name, steps=900))
    assert frontend.interrupt_at(STOP_AT).interrupted
    assert_reasoning_is_right(frontend.server, checkpoint, library)
