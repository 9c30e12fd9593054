"""A published tree, what it was imported as, and the message with which an import fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from got_models.__main__ import main

from ...published import older
from .published_tree import Refused, trained, write_tree


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tree in the naming of the released weights."""
    source = tmp_path_factory.mktemp("published")
    write_tree(source, older(trained()[0]))
    return source


@pytest.fixture
def source(published: Path, tmp_path: Path) -> Path:
    """A copy of the tree for a test to damage."""
    return Path(shutil.copytree(published, tmp_path / "pretrained"))


@pytest.fixture(scope="session")
def imported(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree imported with the command's defaults."""
    destination = tmp_path_factory.mktemp("imported") / "GoT"
    assert main(["convert", str(published), str(destination)]) == 0
    return destination


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refused:
    """Runs the command, which must end with exit code 2 and nothing written; returns the message."""

    def run(source: Path, destination: Path | None = None, *options: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        destination = tmp_path / "out" if destination is None else destination
        assert main(["convert", str(source), str(destination), *options]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        message = output.err.strip().splitlines()[-1]
        assert message.startswith("error: ")
        return message

    return run
