"""What the nodes list and find: nothing that cannot be reached takes a list away, links are followed as
ComfyUI follows them, and a path may be pasted as other programs copy it."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from got_pack.got_models.errors import GoTError
from got_pack.got_models.importing.folders import find_folders
from got_pack.nodes._comfy import folders
from got_pack.nodes._comfy.folders import (
    BUNDLED_NAME,
    checkpoint_folder,
    checkpoint_names,
    dataset_folder,
    input_files,
    new_checkpoint_folder,
    published_folder,
)
from got_pack.nodes._runs import adapter_file, adapter_names, run_folder
from got_pack.nodes.loaders import GoTModelLoader
from got_pack.nodes.native import GoTNativeModelLoader

FAULTS = [errno.EACCES, errno.ESTALE, errno.EIO, errno.ENAMETOOLONG, errno.EHOSTDOWN, errno.ELOOP]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ComfyUI's folders in the working directory, with one checkpoint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "_logged", set())
    make_checkpoint(tmp_path / "models" / "got" / "good")
    return tmp_path


def make_checkpoint(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "got.json").write_text("{}")


def make_unreachable(monkeypatch: pytest.MonkeyPatch, path: Path, fault: int) -> None:
    """Let every look at a path, or below it, end in a fault, also for root."""

    def guarded(function: Any) -> Any:
        def look(target: Any, *arguments: Any, **keywords: Any) -> Any:
            if isinstance(target, (str, os.PathLike)) and Path(target).is_relative_to(path):
                raise OSError(fault, os.strerror(fault), str(target))
            return function(target, *arguments, **keywords)

        return look

    for name in ("stat", "scandir", "listdir", "open"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))


# Checkpoints


@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
def test_an_entry_that_cannot_be_reached_is_left_out_with_one_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: int
) -> None:
    (place / "models/got/drive").mkdir()
    make_unreachable(monkeypatch, place / "models/got/drive", fault)
    with caplog.at_level(logging.WARNING):
        for node in (GoTModelLoader, GoTNativeModelLoader, GoTModelLoader):
            assert node.INPUT_TYPES()["required"]["checkpoint"][0] == [BUNDLED_NAME, "good"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert "drive" in line and os.strerror(fault) in line


@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
@pytest.mark.parametrize("inside", ["got.json", "GoT-6B", "model.safetensors"])
def test_a_folder_whose_files_cannot_be_reached_takes_no_other_away(
    place: Path, monkeypatch: pytest.MonkeyPatch, fault: int, inside: str
) -> None:
    (place / "models/got/drive").mkdir()
    make_unreachable(monkeypatch, place / "models/got/drive" / inside, fault)
    assert checkpoint_names() == [BUNDLED_NAME, "good"]


def test_dangling_and_circular_links_are_left_out(place: Path) -> None:
    (place / "models/got/gone").symlink_to("/nowhere/at/all")
    (place / "models/got/loop").symlink_to("loop")
    (place / "models/got/long").symlink_to("x" * 300)
    (place / "models/got/home").symlink_to(place / "models")
    assert checkpoint_names() == [BUNDLED_NAME, "good"]


def test_a_name_that_is_no_utf8_is_left_out_with_one_line(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkdir(os.fsencode(place / "models/got") + b"/caf\xe9")
    with caplog.at_level(logging.WARNING):
        names = checkpoint_names()
    assert names == [BUNDLED_NAME, "good"]
    (line,) = [record.getMessage() for record in caplog.records]
    line.encode()


def test_a_models_folder_that_is_a_file_or_missing_leaves_the_bundled_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert checkpoint_names() == [BUNDLED_NAME]
    (tmp_path / "models").mkdir()
    (tmp_path / "models/got").write_text("")
    assert checkpoint_names() == [BUNDLED_NAME]


def test_groups_are_looked_into_and_not_offered(place: Path) -> None:
    models = place / "models/got"
    make_checkpoint(models / "mine/checkpoint-a")
    make_checkpoint(models / "mine/checkpoint-b")
    make_checkpoint(models / "mine/.hidden")
    make_checkpoint(models / "mine/too/deep")
    make_checkpoint(models / "good/inside")
    (models / "mine/part.part").mkdir()
    (models / "notes").mkdir()
    (models / "sdxl/text_encoder").mkdir(parents=True)
    (models / "sdxl/model_index.json").write_text("{}")
    (models / "sdxl/text_encoder/model.safetensors").touch()
    (models / "downloads/GoT-6B").mkdir(parents=True)
    assert checkpoint_names() == [
        BUNDLED_NAME,
        "downloads (needs import)",
        "good",
        "mine/checkpoint-a",
        "mine/checkpoint-b",
        "mine/part.part (needs import)",
    ]
    assert checkpoint_folder("mine/checkpoint-a").resolve() == models / "mine/checkpoint-a"
    for name in ("mine", "mine/too/deep", "mine/../good", "mine\\checkpoint-a", "notes"):
        with pytest.raises(GoTError, match="There is no GoT checkpoint"):
            checkpoint_folder(name)


def test_a_checkpoint_behind_a_link_is_listed(place: Path) -> None:
    make_checkpoint(place / "elsewhere/a")
    (place / "models/got/linked").symlink_to(place / "elsewhere/a")
    (place / "models/got/group").symlink_to(place / "elsewhere")
    assert checkpoint_names() == [BUNDLED_NAME, "good", "group/a", "linked"]


# Adapters and input files


def test_adapters_behind_links_are_listed_and_circles_end(place: Path) -> None:
    (place / "elsewhere/deep").mkdir(parents=True)
    (place / "elsewhere/a.safetensors").touch()
    (place / "elsewhere/deep/B.SAFETENSORS").touch()
    (place / "models/loras/got").mkdir(parents=True)
    (place / "models/loras/got/linked").symlink_to(place / "elsewhere")
    (place / "models/loras/got/c.safetensors").symlink_to(place / "elsewhere/a.safetensors")
    (place / "models/loras/got/gone.safetensors").symlink_to("/nowhere")
    (place / "elsewhere/back").symlink_to(place / "models/loras/got")
    (place / "elsewhere/self").symlink_to(place / "elsewhere")
    (place / "output/got_training").mkdir(parents=True)
    (place / "run").mkdir()
    (place / "run/adapter.safetensors").touch()
    (place / "output/got_training/mine").symlink_to(place / "run")
    assert adapter_names() == [
        "got_training/mine/adapter.safetensors",
        "got/c.safetensors",
        "got/linked/a.safetensors",
        "got/linked/deep/B.SAFETENSORS",
    ]
    assert adapter_file("got/linked/a.safetensors").is_file()


@pytest.mark.parametrize("fault", FAULTS, ids=errno.errorcode.get)
def test_what_cannot_be_reached_takes_no_adapter_and_no_picture_away(
    place: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    for folder, name in (("models/loras/got", "a.safetensors"), ("input", "a.png")):
        (place / folder / "drive").mkdir(parents=True)
        (place / folder / name).touch()
    (place / "output/got_training/drive").mkdir(parents=True)
    for folder in ("models/loras/got", "output/got_training", "input"):
        make_unreachable(monkeypatch, place / folder / "drive", fault)
    assert adapter_names() == ["got/a.safetensors"]
    assert input_files(".png") == ["a.png"]


# Names and paths that people give

RESERVED = ["CON", "con", "NUL", "Aux", "prn", "COM1", "lpt9", "COM\u00b9", "aux.txt", "nul.tar.gz", "con .x"]


@pytest.mark.parametrize("name", [*RESERVED, "a.", "a ", "x" * 101, "a/b", "..", "a\n", "\ud800", ""])
def test_a_name_that_some_system_cannot_hold_is_refused_everywhere(place: Path, name: str) -> None:
    for make in (new_checkpoint_folder, run_folder):
        with pytest.raises(GoTError, match="cannot be the name"):
            make(name)


@pytest.mark.parametrize(
    "name", ["contour", "com10", "nulls", "Konsole", "aux-1", "caf\u00e9", "\u732b", "x" * 100]
)
def test_other_names_are_taken(place: Path, name: str) -> None:
    assert new_checkpoint_folder(name).name == run_folder(name).name == name


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '"{}"',
        "'{}'",
        "\u201c{}\u201d",
        "\u2018{}\u2019",
        ' "{}"\r\n',
        "{} \n",
        "\u202a{}",
        '\u202a"{}"',
        "file://{}",
        "FILE://localhost{}",
        "\"'{}'\"",
    ],
)
def test_a_path_is_taken_as_other_programs_copy_it(place: Path, text: str) -> None:
    folder = place / "my x"
    folder.mkdir()
    for find in (published_folder, dataset_folder):
        assert find(text.format(folder)) == folder


def test_an_address_is_unescaped(place: Path) -> None:
    assert dataset_folder(f"file://{place}/my%20x") == place / "my x"


@pytest.mark.parametrize("text", ["", "  ", '""', "'' \n", '"'])
def test_nothing_is_no_path(place: Path, text: str) -> None:
    if text == '"':
        assert dataset_folder(text).name == '"'
        return
    for find in (published_folder, dataset_folder):
        with pytest.raises(GoTError, match="is empty"):
            find(text)


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "file://[x", "file:///a%00b"])
def test_a_path_that_no_file_can_have_is_refused(place: Path, text: str) -> None:
    for find in (published_folder, dataset_folder):
        with pytest.raises(GoTError, match="cannot be a path"):
            find(text)


@pytest.mark.parametrize("text", ["x" * 5000, "~nobody/x", "nowhere"])
def test_a_source_that_is_not_there_is_said_to_be_missing(place: Path, text: str) -> None:
    with pytest.raises(GoTError, match="Missing: the folder"):
        find_folders(published_folder(text))
