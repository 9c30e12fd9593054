"""GoT Dataset: rows, report and preview of a folder, and an answer that is not older than its files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from got_pack.got_models.errors import GoTError
from got_pack.nodes.dataset import LEAVE_OUT, STOP, GoTDataset
from PIL import Image

GOOD = {"image": "cup.png", "prompt": "a cup", "chain": "a cup (100,200),(500,900)"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """input/mine in the working directory, with one good and one bad row."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "input" / "mine"
    folder.mkdir(parents=True)
    Image.new("RGB", (120, 80), "blue").save(folder / "cup.png")
    rows = [GOOD, GOOD | {"image": "missing.png"}]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.mark.parametrize("by_full_path", [False, True])
def test_a_folder_is_found_by_its_name_in_the_input_folder_and_by_its_path(
    folder: Path, by_full_path: bool
) -> None:
    name = str(folder) if by_full_path else "mine"
    dataset, report, preview = GoTDataset().open(name, LEAVE_OUT, 12)
    assert [row.where for row in dataset.rows] == ["line 1"]
    assert report.startswith("1 of 2 rows can be used.\nline 2: ")
    assert preview.shape[0] == 1 and preview.shape[-1] == 3


def test_bad_rows_stop_unless_they_are_to_be_left_out(folder: Path) -> None:
    with pytest.raises(GoTError, match="line 2"):
        GoTDataset().open("mine", STOP, 12)


def test_no_folder_and_an_empty_name_are_refused(folder: Path) -> None:
    with pytest.raises(GoTError, match="cannot be read"):
        GoTDataset().open("nothing", STOP, 12)
    with pytest.raises(GoTError, match="The folder is empty"):
        GoTDataset().open(" ", STOP, 12)


def test_a_changed_picture_is_a_change_and_the_cache_is_none(folder: Path) -> None:
    before = GoTDataset.IS_CHANGED("mine")
    (folder / ".got-cache").mkdir()
    (folder / ".got-cache" / "some.safetensors").write_text("latents")
    assert GoTDataset.IS_CHANGED("mine") == before
    os.utime(folder / "cup.png", (1, 1))
    assert GoTDataset.IS_CHANGED("mine") != before
