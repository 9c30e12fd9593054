"""Odd names, links, pipes, encodings and damaged lines."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from pathlib import Path

import pytest

from got_models.dataset.published import import_dataset
from got_models.dataset.rows import DATA_FILE, read_dataset
from got_models.errors import GoTError

from .folders import GOOD, read


@pytest.mark.parametrize("name", ["old\\cup.png", ".\\old\\cup.png", "old\\..\\cup.png", "old/../cup.png"])
def test_a_path_written_on_windows_is_found(folder: Path, name: str) -> None:
    (row,) = read(folder, GOOD | {"image": name}).rows
    assert row.image.path in (folder / "cup.png", folder / "old/cup.png")


@pytest.mark.parametrize(
    "name",
    [
        *("..\\outside.png", "old\\..\\..\\outside.png", "C:\\data\\cup.png", "c:/cup.png"),
        *("\\\\server\\share\\cup.png", "old/../../outside.png", ".", "old/.."),
    ],
)
def test_no_way_of_writing_leads_out_of_the_folder(folder: Path, name: str) -> None:
    (bad,) = read(folder, GOOD | {"image": name}).invalid
    assert "is outside the dataset's folder" in bad.reason


@pytest.mark.parametrize("name", ["x" * 300, "a\nb.png", "missing/cup.png", "cup.png/more.png", "old"])
def test_a_picture_that_is_not_there_is_a_line_of_the_report(folder: Path, name: str) -> None:
    dataset = read(folder, GOOD | {"image": name})
    assert "there is no such file" in dataset.invalid[0].reason
    assert len(dataset.report().splitlines()) == 2


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_row", ["NFC", "NFD"])
def test_accents_are_found_in_either_form(folder: Path, on_disk: str, in_row: str) -> None:
    name = "bücher/garçon 가.png"
    there = folder / unicodedata.normalize(on_disk, name)
    there.parent.mkdir()
    shutil.copy(folder / "cup.png", there)
    (row,) = read(folder, GOOD | {"image": unicodedata.normalize(in_row, name)}).rows
    assert row.image.path == there


def test_a_link_in_the_folder_may_lead_out_of_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    shutil.copy(folder / "cup.png", tmp_path / "library")
    (folder / "linked").symlink_to(tmp_path / "library")
    (folder / "one.png").symlink_to(tmp_path / "library/cup.png")
    dataset = read(folder, GOOD | {"image": "linked/cup.png"}, GOOD | {"image": "one.png"})
    assert len(dataset.rows) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are a matter of POSIX")
def test_nothing_waits_for_a_pipe(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    assert "there is no such file" in read(folder, GOOD | {"image": "pipe.png"}).invalid[0].reason
    os.mkfifo(tmp_path / DATA_FILE)
    with pytest.raises(GoTError, match=r"data\.jsonl cannot be read: it is not a regular file"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"image": "cup.png", "image": "square.png", "prompt": "p", "chain": "c"}', "'image' appears twice"),
        ('{"image": {"a": 1, "a": 2}, "prompt": "p", "chain": "c"}', "The entry 'a' appears twice"),
        ('{"image": "cup.png", "prompt": "p", "chain": NaN}', "Not JSON: NaN"),
        ('{"image": "cup.png", "prompt": "p", "chain": "c", "score": Infinity}', "Not JSON: Infinity"),
        ('{"image": ' + "9" * 5000 + "}", "Not JSON"),
        ('{"image": ' + "[" * 100_000 + "}", "Not JSON"),
        ('{"image": ["cup.png"], "prompt": "p", "chain": "c"}', "'image' must be a string"),
        ('{"image": null, "prompt": "p", "chain": "c"}', "'image' must be a string, got None"),
        ('{"image": 7, "prompt": "p", "chain": "c"}', "'image' must be a string, got 7"),
        ('{"image": "cup.png", "prompt": "\\ud800", "chain": "c"}', "'prompt' holds half of a character"),
        ('{"image": "\\ud800.png", "prompt": "p", "chain": "c"}', "'image' holds half of a character"),
        ('{"image": "cup.png", "prompt": "p", "chain": "\\udfff"}', "'chain' holds half of a character"),
        (json.dumps(GOOD | {"x" * 10**6: 1}), "Unknown entry 'xxx"),
        (json.dumps(GOOD | {"chain": ["x" * 10**6]}), "'chain' must be a string"),
    ],
    ids=range(14),
)
def test_a_damaged_line_is_reported_shortly_with_its_number(folder: Path, line: str, reason: str) -> None:
    dataset = read(folder, GOOD, line)
    (bad,) = dataset.invalid
    assert bad.where == "line 2" and reason in bad.reason
    assert len(bad.reason) < 300
    assert "GoTError" not in bad.reason
    dataset.report().encode()


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gbk", "cp1252"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_data_in_another_encoding_is_read_or_each_line_names_it(
    folder: Path, encoding: str, end: str
) -> None:
    word = "café" if encoding == "cp1252" else "红色的杯子"
    rows = [GOOD | {"prompt": word}, GOOD | {"prompt": f"{word}, {word}"}]
    text = "".join(json.dumps(row, ensure_ascii=False) + end for row in rows)
    (folder / DATA_FILE).write_bytes(text.encode(encoding))
    named = {
        "utf-16-le": "UTF-16",
        "utf-16-be": "UTF-16",
        "utf-32": "UTF-32",
        "gbk": "GBK",
        "cp1252": "Windows-1252",
    }
    if encoding not in named:
        assert [row.chain.prompt for row in read_dataset(folder).rows] == [row["prompt"] for row in rows]
        assert read_dataset(folder).invalid == ()
    elif encoding == "utf-32":
        with pytest.raises(GoTError, match="UTF-32"):
            read_dataset(folder)
    else:
        dataset = read_dataset(folder)
        assert dataset.rows == ()
        assert any(named[encoding] in bad.reason for bad in dataset.invalid)


def test_utf_16_without_its_mark_is_named_also_where_all_letters_are_ascii(folder: Path) -> None:
    (folder / DATA_FILE).write_bytes((json.dumps(GOOD) + "\n").encode("utf-16-le"))
    assert all("UTF-16 without its mark" in bad.reason for bad in read_dataset(folder).invalid)


def test_a_folder_that_no_system_can_have_is_no_folder(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GoTError, match="There is no folder"):
        import_dataset(tmp_path / "rows.json", tmp_path / ("x" * 300))
    with pytest.raises(GoTError, match="Expected a file that ends in"):
        import_dataset(tmp_path / ("x" * 300), folder)
