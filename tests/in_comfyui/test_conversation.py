"""Edit Image in Turns in a real server, after another drawing with a plan of its own."""

from __future__ import annotations

import json

import pytest

from .conftest import Checkpoint
from .prompts import Prompt, changed, drawing, node
from .server import Server


def conversing(checkpoint: str, steps: int = 2) -> Prompt:
    """A picture, drawn from a plan typed in by hand, is edited in turns."""
    turns = node(
        "GoTConverse",
        model=["loader", 0],
        prompt="make the red circle green",
        image=["sampler", 1],
        turns=3,
        seed=1,
        steps=steps,
        scheduler="ddpm",
        semantic_scale=-1.0,
        spatial_scale=-1.0,
        reference_scale=-1.0,
        keep_outside_boxes=True,
        width=128,
        height=128,
    )
    whole = changed(drawing(checkpoint), "save", images=["turns", 0])
    return {**whole, "turns": turns, "shown": node("PreviewAny", source=["turns", 2])}


@pytest.mark.parametrize("time", ["first", "cached"])
def test_the_pictures_of_a_conversation_are_saved_with_their_own_plan(
    server: Server, checkpoint: Checkpoint, time: str
) -> None:
    prompt = changed(conversing(checkpoint.name), "save", filename_prefix=time)
    run = server.run(prompt)
    assert run.succeeded, run.error
    (picture,) = server.pictures(run, "save")  # this model was taught single turns
    assert picture.size == (128, 128)
    assert run.outputs["shown"]["text"][0]
    assert json.loads(picture.info["got_chain"])["text"] == run.outputs["shown"]["text"][0]


def test_stop_ends_a_conversation(server: Server, checkpoint: Checkpoint) -> None:
    server.post("/test/stop", {"kind": "UNet2DConditionModel", "count": 6})
    run = server.run(conversing(checkpoint.name, steps=40))
    assert run.interrupted
