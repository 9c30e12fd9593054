"""Whatever is wired or typed in wrongly: the node says what is wrong, and the server lives on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Checkpoint
from .prompts import Prompt, changed, drawing, everything, loading, native, node
from .server import Server

NO_CHECKPOINT = ["There is no GoT checkpoint", "GoT Import Checkpoint", "models", "refresh"]


def complaint(server: Server, prompt: Prompt) -> tuple[str, str]:
    """The node that is at fault and its message, whether it was refused or the run failed."""
    answer = server.post("/prompt", {"prompt": prompt})
    if not answer["node_errors"]:
        return server.wait(answer["prompt_id"]).error
    ((name, found),) = answer["node_errors"].items()
    (error,) = found["errors"]  # one mistake, one message
    return name, error["details"]


MISTAKES: dict[str, tuple[Callable[[str], Prompt], str, list[str]]] = {
    "a checkpoint that is gone": (lambda _: drawing("gone"), "loader", ["'gone'", *NO_CHECKPOINT]),
    "a path as checkpoint": (lambda _: drawing("../../etc"), "loader", ["'../../etc'", *NO_CHECKPOINT]),
    "a path as native checkpoint": (
        lambda name: changed(native(name), "native", checkpoint="../../etc"),
        "native",
        ["'../../etc'", *NO_CHECKPOINT],
    ),
    "an unfinished checkpoint": (lambda _: drawing("unfinished"), "loader", ["unfinished", "got.json"]),
    "an edited chain that is no JSON": (
        lambda name: everything(name, edited_chain="{move it left"),
        "plan",
        ["not readable as JSON", "empty it"],
    ),
    "an edited chain of another kind": (
        lambda name: everything(name, edited_chain='{"boxes": []}'),
        "plan",
        ['"upstream" and "chain"', "empty it"],
    ),
    "a box turned inside out": (
        lambda name: changed(drawing(name), "plan", text="a red circle (900,900),(100,100)"),
        "plan",
        ["900", "100"],
    ),
    "a latent of another size than the guidance": (
        lambda name: native(name, size=128, latent_size=64),
        "draw",
        ["128 high and 128 wide", "64 high and 64 wide"],
    ),
    "another MODEL in the guider": (
        lambda name: {**changed(native(name), "guider", model=["odd", 0]), "odd": node("StrangeModel")},
        "guider",
        ["GoT Native Model Loader", "Linear"],
    ),
    "an empty batch of pictures": (
        lambda name: {**changed(drawing(name), "encode", reference=["odd", 0]), "odd": node("EmptyBatch")},
        "encode",
        ["image batch is empty"],
    ),
    "a null in place of a checkpoint": (
        lambda name: changed(drawing(name), "encode", model=None),
        "encode",
        ["'model' takes a checkpoint, from GoT Model Loader", "received nothing"],
    ),
    "a picture in place of guidance": (
        lambda name: {
            **changed(drawing(name), "sampler", guidance=["any", 0]),
            "any": node("AnyToAny", value=["encode", 3]),
        },
        "sampler",
        ["'guidance' takes guidance, from SSGM Encode", "received a picture (IMAGE)"],
    ),
    "a number past its range over a wire": (
        lambda name: {
            **changed(drawing(name), "sampler", batch_size=["number", 0]),
            "number": node("PrimitiveInt", value=10**9),
        },
        "sampler",
        ["'batch_size' takes a whole number from 1 to 64", "received 1000000000"],
    ),
    "a scale that is no number": (
        lambda name: changed(drawing(name), "sampler", spatial_scale=float("nan")),
        "sampler",
        ["'spatial_scale' takes a number from -1.0 to 30.0", "received nan"],
    ),
    "half a character": (
        lambda name: {"import": importing(source="\ud800")},
        "import",
        ["'source' holds \\ud800 at character 0"],
    ),
}


def importing(**changes: str) -> dict[str, Any]:
    inputs = {"source": "downloads", "name": "mine", "dtype": "float32", "download": False}
    return node("GoTImportCheckpoint", **inputs | changes)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_node_says_what_is_wrong_and_the_server_lives_on(
    server: Server, checkpoint: Checkpoint, mistake: str
) -> None:
    build, name, words = MISTAKES[mistake]
    at_fault, message = complaint(server, build(checkpoint.name))
    assert at_fault == name, message
    assert [word for word in words if word not in message] == [], message
    assert server.run(surviving(checkpoint.name)).succeeded


def test_half_a_character_in_a_dataset_is_said_and_the_server_lives_on(
    server: Server, checkpoint: Checkpoint
) -> None:
    """Python logs an error with all that led to it: where that cannot be encoded, ComfyUI's worker ends."""
    folder = server.folder / "input" / "half"
    folder.mkdir()
    row = {"image": "\ud800.png", "prompt": "a star", "chain": "a star (1,2),(300,400)"}
    (folder / "data.jsonl").write_text(json.dumps(row), encoding="utf-8")
    prompt = {"data": node("GoTDataset", folder="half", bad_rows="stop", preview_rows=1)}
    assert complaint(server, prompt)[0] == "data"
    assert "\\ud800" in complaint(server, prompt)[1]
    assert server.run(surviving(checkpoint.name)).succeeded


def surviving(checkpoint: str) -> Prompt:
    return {**loading(checkpoint), "shown": node("PreviewAny", source=["loader", 0])}
