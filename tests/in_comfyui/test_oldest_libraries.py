"""The oldest libraries that requirements.txt allows plan and draw what the newest do, and they train."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from .conftest import Checkpoint, prepared
from .place import ComfyUI, oldest_libraries
from .prompts import Prompt, drawing, editing, reasoning
from .server import Server
from .test_training import training


@pytest.fixture(scope="module")
def older_server(
    comfyui: ComfyUI, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = prepared(tmp_path_factory.mktemp("older"), checkpoint)
    server = Server(comfyui, folder, libraries=oldest_libraries())
    yield server
    server.stop()


def test_they_write_the_same_plan(older_server: Server, server: Server, checkpoint: Checkpoint) -> None:
    older, newer = (one.run(reasoning(checkpoint.name, most_tokens=40)) for one in (older_server, server))
    assert older.outputs["shown"]["text"] == newer.outputs["shown"]["text"]
    versions = [one.get_json("/test/version/transformers") for one in (older_server, server)]
    assert versions[0].startswith("4.") and versions[0] != versions[1]


@pytest.mark.parametrize("build", [drawing, editing])
def test_they_draw_the_same_picture(
    older_server: Server, server: Server, checkpoint: Checkpoint, build: Callable[[str], Prompt]
) -> None:
    prompt = build(checkpoint.name)
    (older,), (newer,) = (one.pictures(one.run(prompt), "save") for one in (older_server, server))
    difference = np.asarray(older, dtype=float) - np.asarray(newer, dtype=float)
    assert np.abs(difference).max() <= 2  # of 255 levels


def test_they_train(older_server: Server, checkpoint: Checkpoint) -> None:
    settings = "{gradient_checkpointing: true, fp8_base: true, mllm: {new_words: {cross: star}}}"
    run = older_server.run(training(checkpoint.name, "older", steps=2, settings=settings))
    assert run.succeeded, run.error
