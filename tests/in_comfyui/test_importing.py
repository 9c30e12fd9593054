"""GoT Import Checkpoint in a real ComfyUI: listed, refused, stopped, finished, and loaded like any other."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration

from ..published import prefixed, write_stock_models
from .conftest import Checkpoint
from .prompts import Prompt, node
from .server import Server
from .test_mistakes import complaint, surviving

NAME = "imported here"


@pytest.fixture(scope="module")
def models(server: Server, checkpoint: Checkpoint) -> Iterator[Path]:
    """The server's models/got with the checkpoint, torn into the published layout, in `downloads`."""
    models = server.folder / "models/got"
    got = models / "downloads/GoT-6B"
    got.mkdir(parents=True)
    write_stock_models(checkpoint.folder, got.parent)
    folder = checkpoint.folder
    state = {
        **prefixed("mllm.", Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "mllm")),
        **prefixed("unet.", UNet2DConditionModel.from_pretrained(folder / "unet")),
        **prefixed("vae.", AutoencoderKL.from_pretrained(folder / "vae")),
        **load_file(folder / "projectors.safetensors"),
    }
    save_file(state, got / "model.safetensors")
    yield models
    shutil.rmtree(models / "downloads")
    shutil.rmtree(models / NAME, ignore_errors=True)


def importing(**changes: Any) -> Prompt:
    inputs = {"source": "downloads", "name": NAME, "dtype": "float32", "download": False} | changes
    return {"import": node("GoTImportCheckpoint", **inputs)}


def listed(server: Server, loader: str = "GoTModelLoader") -> list[str]:
    information = server.get_json(f"/object_info/{loader}")
    names: list[str] = information[loader]["input"]["required"]["checkpoint"][0]
    return names


@pytest.mark.parametrize("loader", ["GoTModelLoader", "GoTNativeModelLoader"])
def test_a_folder_that_needs_importing_is_listed_as_such(models: Path, server: Server, loader: str) -> None:
    assert "downloads (needs import)" in listed(server, loader)


def test_choosing_it_names_the_node_to_use(models: Path, server: Server) -> None:
    name, message = complaint(server, surviving("downloads (needs import)"))
    assert name == "loader"
    assert "Run GoT Import Checkpoint with 'downloads' as its source" in message


def test_a_source_without_the_published_folders_says_which_files_belong_where(
    models: Path, server: Server
) -> None:
    name, message = complaint(server, importing(source="nowhere"))
    assert name == "import"
    assert str(models / "nowhere/GoT-6B") in message
    assert "https://huggingface.co/LucasFang/GoT-6B" in message


def test_stopped_the_import_leaves_no_checkpoint_and_run_again_it_makes_one_that_loads(
    models: Path, server: Server
) -> None:
    stopped = server.queue(importing())
    while not server.get_json(f"/history/{stopped}"):
        server.post("/interrupt", {})
        time.sleep(0.02)
    assert server.wait(stopped).interrupted
    assert NAME not in listed(server)

    assert server.run(importing()).succeeded
    assert NAME in listed(server) and f"{NAME}.part (needs import)" not in listed(server)
    assert server.run(surviving(NAME)).succeeded


def test_the_output_is_the_checkpoints_name(models: Path, server: Server) -> None:
    run = server.run({**importing(), "shown": node("PreviewAny", source=["import", 0])})
    assert run.outputs["shown"]["text"] == [NAME]
