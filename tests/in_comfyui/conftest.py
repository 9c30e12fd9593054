"""The checkpoint, servers and pages shared by all tests here, each created once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from got_pack.nodes._comfy.folders import BUNDLED_NAME

from got_models.constants import BUNDLED_CHECKPOINT
from got_models.pipeline import GoTModel
from tiny_model.pretraining.export import export_checkpoint
from tiny_model.pretraining.initialize import initialize_checkpoint

from .browser import ARGUMENTS, Frontend
from .place import NEWEST, OLDEST, ComfyUI, find_chromium, newer_frontend, require_comfyui, skip_loudly
from .server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STRANGERS = Path(__file__).with_name("strangers.py")
OLD, SERVED, NEWER = "old_server", "server", "newer_server"
"""The three set-ups, by their fixtures: the oldest ComfyUI, the newest, and that with a newer frontend."""

PAGES = {
    "oldest, classic": (OLD, False),
    "served, classic": (SERVED, False),
    "newer, Nodes 2.0": (NEWER, True),
}
"""Every frontend, and nodes drawn in both ways: Nodes 2.0 or not."""
if os.environ.get("GOT_EVERY_PAGE") == "1":
    PAGES |= {"served, Nodes 2.0": (SERVED, True), "newer, classic": (NEWER, False)}


@dataclass(frozen=True)
class Checkpoint:
    """Its name in the loaders' lists, its folder, and whether it is trained."""

    name: str
    folder: Path
    trained: bool


@pytest.fixture(scope="session")
def comfyui() -> ComfyUI:
    return require_comfyui(NEWEST)


@pytest.fixture(scope="session")
def oldest_comfyui() -> ComfyUI:
    return require_comfyui(OLDEST)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The bundled checkpoint or, if it is missing, one with random weights in `models/got`."""
    if (BUNDLED_CHECKPOINT / "got.json").is_file():
        return Checkpoint(BUNDLED_NAME, BUNDLED_CHECKPOINT, trained=True)
    folder = tmp_path_factory.mktemp("checkpoint")
    initialize_checkpoint(folder / "work")
    export_checkpoint(folder / "work", folder / "random")
    return Checkpoint("random", folder / "random", trained=False)


@pytest.fixture(scope="session")
def library(checkpoint: Checkpoint) -> GoTModel:
    """The same checkpoint without ComfyUI, to compare with."""
    return GoTModel.from_pretrained(checkpoint.folder)


@pytest.fixture(scope="session")
def server(
    comfyui: ComfyUI, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(comfyui, prepared(tmp_path_factory.mktemp("served"), checkpoint))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def old_server(
    oldest_comfyui: ComfyUI, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(oldest_comfyui, prepared(tmp_path_factory.mktemp("old"), checkpoint))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def newer_server(
    comfyui: ComfyUI, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = prepared(tmp_path_factory.mktemp("newer"), checkpoint)
    server = Server(comfyui, folder, "--front-end-root", str(newer_frontend()))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_loudly("no playwright: pip install playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=[OLD, SERVED, NEWER])
def frontend(request: pytest.FixtureRequest, chromium: Browser) -> Frontend:
    """A page in each of the three set-ups."""
    return Frontend(chromium.new_page(), request.getfixturevalue(request.param))


def prepared(folder: Path, checkpoint: Checkpoint) -> Path:
    """ComfyUI's base directory with the checkpoint, an unfinished one, and nodes that misbehave."""
    (folder / "custom_nodes").mkdir()
    (folder / "custom_nodes" / STRANGERS.name).symlink_to(STRANGERS)
    models = folder / "models" / "got"
    (models / "unfinished").mkdir(parents=True)
    if not checkpoint.trained:
        (models / checkpoint.name).symlink_to(checkpoint.folder, target_is_directory=True)
    return folder
