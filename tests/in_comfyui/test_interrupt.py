"""Stop stops at once, and leaves the server as if nothing had happened."""

from __future__ import annotations

import numpy as np

from got_models.model import GoTModel

from .browser import Frontend
from .conftest import Checkpoint
from .prompts import CAPTION, CHAIN, drawing, reasoning

STOP_AT = 4
MORE_TOKENS, MORE_STEPS = 2, 1


def test_reasoning_stops_within_two_tokens_and_the_next_run_is_right(
    frontend: Frontend, checkpoint: Checkpoint, library: GoTModel
) -> None:
    frontend.load_prompt(reasoning(checkpoint.name, most_tokens=60))
    run, shown = frontend.interrupt_at(STOP_AT)
    assert run.interrupted
    assert STOP_AT <= shown[-1] <= STOP_AT + MORE_TOKENS

    run = frontend.server.run(reasoning(checkpoint.name))
    expected = library.reason(CAPTION, max_new_tokens=12, temperature=None)
    assert run.outputs["shown"]["text"] == [expected.text]


def test_sampling_stops_within_one_step_and_the_next_run_is_right(
    frontend: Frontend, checkpoint: Checkpoint, library: GoTModel
) -> None:
    frontend.load_prompt(drawing(checkpoint.name, steps=40, size=256))
    run, shown = frontend.interrupt_at(STOP_AT)
    assert run.interrupted
    assert STOP_AT <= shown[-1] <= STOP_AT + MORE_STEPS

    (drawn,) = frontend.server.pictures(frontend.server.run(drawing(checkpoint.name)), "save")
    expected = library.sample(library.encode(CHAIN), seed=1, steps=3)
    difference = np.asarray(drawn, dtype=float) - np.asarray(expected, dtype=float)
    assert np.abs(difference).max() <= 2  # of 255 levels; the two run on different versions of torch
