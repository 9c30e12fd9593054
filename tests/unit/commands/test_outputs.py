"""Results are written completely or not at all, and a picture says how it was made."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from got_models.chain.chain import ReasoningChain
from got_models.commands.outputs import Drawing
from got_models.errors import GoTError
from got_models.files.whole_files import check_writable, write_files

TEXT = "A größe circle <|box_start|>(100,100),(400,400)<|box_end|> (red) on white."


@pytest.fixture
def drawing() -> Drawing:
    chain = ReasoningChain.parse(TEXT, "generate", "a größe circle")
    return Drawing(chain, Image.new("RGB", (64, 32), (10, 20, 30)), {"seed": 7, "steps": 3})


def test_the_picture_carries_its_chain_and_its_settings(drawing: Drawing) -> None:
    picture = Image.open(io.BytesIO(drawing.files()["image.png"]))
    assert picture.getpixel((0, 0)) == (10, 20, 30)
    assert ReasoningChain.from_json(json.loads(picture.info["got_chain"])) == drawing.chain
    assert json.loads(picture.info["got_settings"]) == {"seed": 7, "steps": 3}


def test_both_chain_files_load_as_the_same_chain(drawing: Drawing, tmp_path: Path) -> None:
    write_files(tmp_path, drawing.files())
    assert (tmp_path / "chain.txt").read_text(encoding="utf-8") == TEXT + "\n"
    assert ReasoningChain.load(tmp_path / "chain.json") == drawing.chain
    from_text = ReasoningChain.load(tmp_path / "chain.txt", "generate", "a größe circle")
    assert from_text.regions == drawing.chain.regions


def test_the_layout_shows_the_box_in_its_color(drawing: Drawing) -> None:
    layout = Image.open(io.BytesIO(drawing.files()["layout.png"]))
    left, top, right, bottom = drawing.chain.regions[0].box.to_pixels(*layout.size)
    assert layout.getpixel((left, (top + bottom) // 2)) == (255, 0, 0)
    assert layout.getpixel(((left + right) // 2, (top + bottom) // 2)) == (10, 20, 30)


def test_the_same_drawing_gives_the_same_bytes(drawing: Drawing) -> None:
    assert drawing.files() == drawing.files()


def test_a_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    write_files(tmp_path / "a/b", {"one.txt": b"1", "more/two.txt": b"2"})
    assert (tmp_path / "a/b/one.txt").read_bytes() == b"1"
    assert (tmp_path / "a/b/more/two.txt").read_bytes() == b"2"
    assert sorted(os.listdir(tmp_path)) == ["a"], "no temporary folder is left"
    assert sorted(os.listdir(tmp_path / "a/b")) == ["more", "one.txt"]


def test_a_file_that_cannot_be_replaced_leaves_all_others_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_bytes(b"old")
    (tmp_path / "two.txt").mkdir()
    with pytest.raises(GoTError, match=r"two\.txt is a folder"):
        write_files(tmp_path, {"one.txt": b"new", "two.txt": b"new"})
    assert (tmp_path / "one.txt").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["one.txt", "two.txt"]


def test_checking_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path)
    check_writable(tmp_path / "not/yet/there")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("place", ["file", "file/below", "link", "x" * 300, "/proc/got"])
def test_an_unwritable_folder_is_found_out(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for attempt in (check_writable, lambda folder: write_files(folder, {"one.txt": b"1"})):
        with pytest.raises(GoTError, match="cannot be written to"):
            attempt(tmp_path / place)
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]
    assert (tmp_path / "file").read_bytes() == b"old"
