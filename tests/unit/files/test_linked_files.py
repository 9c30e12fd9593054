"""Files below a folder: behind links as well, and in no time however the links lead to one another."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from got_models.files.linked_files import files_below


def names(folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in files_below(folder)]


def test_a_file_has_a_name_for_each_way_that_leads_to_it(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    (disk / "styles").mkdir(parents=True)
    (disk / "styles" / "a").touch()
    folder = tmp_path / "folder"
    (folder / "own").mkdir(parents=True)
    (folder / "own" / "b").touch()
    (folder / "linked").symlink_to(disk)
    (folder / "again").symlink_to(disk / "styles")
    (folder / "gone").symlink_to(disk / "nowhere")
    assert names(folder) == ["again/a", "linked/styles/a", "own/b"]


def test_a_link_to_a_folder_above_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").touch()
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a")
    assert names(tmp_path) == ["a/b/file"]


@pytest.mark.parametrize("folders", [8, 40])
def test_folders_that_all_link_to_one_another_are_looked_through_at_once(
    tmp_path: Path, folders: int
) -> None:
    for one in range(folders):
        (tmp_path / f"{one}").mkdir()
        (tmp_path / f"{one}" / "file").touch()
        for other in range(folders):
            (tmp_path / f"{one}" / f"to {other}").symlink_to(tmp_path / f"{other}")
    began = time.process_time()
    found = names(tmp_path)
    assert time.process_time() - began < 5
    assert {f"{one}/file" for one in range(folders)} <= {*found}
    assert len(found) == len({*found})


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    assert names(tmp_path) == ["file"]
    assert files_below(tmp_path / "missing") == []
