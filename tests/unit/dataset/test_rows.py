"""Every row is checked, nothing vanishes silently, and the content has one digest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from got_models.dataset.rows import DATA_FILE, read_dataset
from got_models.errors import GoTError

from .folders import CANONICAL, CHAIN, EDIT, GOOD, read


def test_rows_come_with_canonical_chains_and_the_task_that_the_source_decides(folder: Path) -> None:
    dataset = read(folder, GOOD, "", EDIT)
    generation, edit = dataset.rows
    assert generation.chain.task == "generate" and generation.source is None
    assert generation.chain.text == CANONICAL
    assert (generation.image.width, generation.image.height) == (120, 80)
    assert edit.chain.task == "edit" and edit.source.path == folder / "old" / "cup.png"
    assert [row.where for row in dataset.rows] == ["line 1", "line 3"]
    assert dataset.invalid == ()


def test_a_chain_may_have_no_box(folder: Path) -> None:
    (row,) = read(folder, GOOD | {"chain": "A red cup on a table."}).rows
    assert row.chain.regions == ()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "Not JSON"),
        ("[" * 100_000, "Not JSON"),
        ([], "Expected a JSON object, got list"),
        ({"image": "cup.png"}, "lacks prompt and chain"),
        (GOOD | {"promt": "x"}, "Unknown entry 'promt'"),
        (GOOD | {"chain": 3}, "'chain' must be a string, got 3"),
        (GOOD | {"source": None}, "'source' must be a string, got None"),
        (GOOD | {"prompt": " "}, "prompt is empty"),
        (GOOD | {"chain": " "}, "chain is empty"),
        (GOOD | {"chain": "a cup (5,5),(5,9)"}, "no area"),
        (GOOD | {"chain": "a cup <|im_end|>"}, "is not allowed in a chain"),
        (GOOD | {"image": "missing.png"}, "cannot open"),
        (GOOD | {"image": "half.png"}, "cannot open"),
        (GOOD | {"image": "text.png"}, "cannot open"),
        (GOOD | {"image": "long.png"}, "at most 4 times as long as it is wide"),
        (GOOD | {"image": "../outside.png"}, "outside the dataset's folder"),
        (GOOD | {"image": "/etc/hostname"}, "outside the dataset's folder"),
        (GOOD | {"image": "a\0b.png"}, "outside the dataset's folder"),
        (GOOD | {"image": ""}, "outside the dataset's folder"),
        (GOOD | {"source": "square.png"}, "must have the same shape"),
    ],
)
def test_a_bad_row_is_reported_with_its_line_and_the_others_stay(folder: Path, row: Any, reason: str) -> None:
    dataset = read(folder, GOOD, row, EDIT)
    assert [good.where for good in dataset.rows] == ["line 1", "line 3"]
    (bad,) = dataset.invalid
    assert bad.where == "line 2"
    assert reason in bad.reason
    assert f"line 2: {bad.reason}" in dataset.report()


def test_a_line_that_is_no_utf8_spoils_only_itself(folder: Path) -> None:
    (folder / DATA_FILE).write_bytes(b"\xff\xfe\n" + json.dumps(GOOD).encode())
    dataset = read_dataset(folder)
    assert [bad.where for bad in dataset.invalid] == ["line 1"]
    assert len(dataset.rows) == 1


def test_a_dataset_with_bad_rows_is_used_only_when_somebody_says_so(folder: Path) -> None:
    dataset = read(folder, GOOD, {})
    with pytest.raises(GoTError, match=r"1 rows .*line 2"):
        dataset.usable(leave_out_bad_rows=False)
    assert dataset.usable(leave_out_bad_rows=True) is dataset


def test_a_dataset_without_a_usable_row_is_refused_either_way(folder: Path) -> None:
    for rows in ((), ({},)):
        with pytest.raises(GoTError, match="holds no row that can be used"):
            read(folder, *rows).usable(leave_out_bad_rows=True)


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GoTError, match=r"data\.jsonl cannot be read"):
        read_dataset(tmp_path / "nowhere")


def test_the_digest_changes_with_the_content_and_with_nothing_else(folder: Path) -> None:
    digest = read(folder, GOOD, EDIT).digest
    same_in_other_words = GOOD | {"chain": CANONICAL}
    assert read(folder, same_in_other_words, "", EDIT, {}).digest == digest
    others = [
        read(folder, EDIT, GOOD).digest,
        read(folder, GOOD, EDIT | {"prompt": "make it red"}).digest,
        read(folder, GOOD | {"chain": CHAIN.replace("500", "501")}, EDIT).digest,
    ]
    Image.new("RGB", (60, 40), "green").save(folder / "old" / "cup.png")
    others.append(read(folder, GOOD, EDIT).digest)
    assert len({digest, *others}) == 5
