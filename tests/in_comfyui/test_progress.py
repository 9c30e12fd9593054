"""While a run goes on, the page is told how far each node is and what it is making."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from got_models.chain.chain import ReasoningChain

from .browser import Frontend
from .conftest import Checkpoint
from .prompts import changed, everything
from .server import Run

STEPS = 3

LISTEN = """() => {
    window.heard = { texts: [], previews: 0, progress: [] };
    const hear = (event, what) => app.api.addEventListener(event, ({ detail }) => what(detail));
    hear('got_text', ({ node, text }) => heard.texts.push([node, text]));
    hear('progress', ({ node, value, max }) => heard.progress.push([node, value, max]));
    hear('b_preview', () => { heard.previews += 1; });
}"""

Told = tuple[Run, dict[str, Any]]


@pytest.fixture(scope="module")
def told(frontend: Frontend, checkpoint: Checkpoint) -> Told:
    """A run of nodes none of which comes from the cache, and what the page heard of it."""
    prompt = everything(checkpoint.name, prompt=f"a blue star for {frontend.server.url}")
    frontend.load_prompt(changed(prompt, "sampler", steps=STEPS))
    frontend.page.evaluate(LISTEN)
    run = frontend.run()
    heard: dict[str, Any] = frontend.page.evaluate("() => heard")
    assert run.succeeded
    return run, heard


def test_the_plan_grows_on_the_reason_node_word_by_word(told: Told) -> None:
    run, heard = told
    texts = [text for node, text in heard["texts"] if node == "reason"]
    *growing, last = texts
    assert len(growing) > 2
    assert all(longer.startswith(text) for text, longer in pairwise(growing))
    assert ReasoningChain.read(last, "generate", "").text == run.outputs["shown"]["text"][0]


def test_reasoning_encoding_and_drawing_have_progress_bars_that_fill(told: Told) -> None:
    _, heard = told
    for node, most in (("reason", 12), ("encode", 1), ("sampler", STEPS)):
        steps = [(value, full) for name, value, full in heard["progress"] if name == node]
        assert steps == sorted(steps), node
        assert steps[-1] == (most, most), node


def test_every_step_of_drawing_is_shown(told: Told) -> None:
    assert told[1]["previews"] >= STEPS
