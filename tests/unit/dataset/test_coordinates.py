"""Published rows that store their coordinates separately."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from got_models.dataset.published import ImportReport, import_dataset
from got_models.dataset.rows import DATA_FILE, read_dataset
from got_models.errors import GoTError

from .folders import CANONICAL


def omni(folder: Path, tmp_path: Path, got: str, coord: Any, **other: Any) -> ImportReport:
    (folder / DATA_FILE).unlink(missing_ok=True)
    row = {"omni_edit_id": "7", "edit_instruction": "paint it", "got": got, "coord": coord, **other}
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps({"src_img": "old\\cup.png", "edited_img": "cup.png", **row}))
    return import_dataset(source, folder)


BOX = "(100,200),(500,900)"
VALUES = [
    *([[100, 200], [500, 900]], [100, 200, 500, 900], [[[100, 200], [500, 900]]], BOX, f"({BOX})"),
    *(
        ["100", "200", "500", "900"],
        [100.2, 199.8, 500.0, 900.4],
        {"x1": 100, "y1": 200, "x2": 500, "y2": 900},
    ),
    *({"bbox": [100, 200, 500, 900]}, "100, 200, 500, 900", "[[100, 200], [500, 900]]"),
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
@pytest.mark.parametrize("place", ["box_1", "<box_1>", "[box_1]", "(box_1)", "{box_1}"])
@pytest.mark.parametrize("as_text", [True, False])
def test_coordinates_apart_are_put_where_their_keys_stand(
    folder: Path, tmp_path: Path, value: Any, place: str, as_text: bool
) -> None:
    coord = {"box_1": value}
    report = omni(folder, tmp_path, f"A red cup {place} turns blue.", json.dumps(coord) if as_text else coord)
    assert (report.written, report.fixed, report.without_boxes, report.invalid) == (1, (), (), ())
    (row,) = read_dataset(folder).rows
    assert row.chain.text == "A red cup <|box_start|>(100,200),(500,900)<|box_end|> (red) turns blue."
    assert row.source.path == folder / "old/cup.png" and row.image.path == folder / "cup.png"


def test_keys_that_begin_one_another_are_told_apart(folder: Path, tmp_path: Path) -> None:
    coord = {f"box_{n}": [10 * n, 20, 10 * n + 100, 300] for n in range(1, 12)}
    got = ", ".join(f"a cup box_{n}" for n in reversed(range(1, 12)))
    assert omni(folder, tmp_path, got, json.dumps(coord)).fixed == ()
    boxes = [region.box.x1 for region in read_dataset(folder).rows[0].chain.regions]
    assert boxes == [10 * n for n in reversed(range(1, 12))]


@pytest.mark.parametrize(
    ("got", "coord", "reason"),
    [
        ("a cup box_1", "{", "coordinates are not JSON"),
        ("a cup box_1", "[" * 100_000, "coordinates are not JSON"),
        ("a cup box_1", "[1, 2]", "must be an object"),
        ("a cup box_1", '{"box_1": [1, 2, 3, 4], "box_1": [5, 6, 7, 8]}', "'box_1' appears twice"),
        ("a cup box_1", 7, "must be an object"),
        ("a cup box_1", {"box_1": [1, 2, 3]}, "must be four numbers, got [1, 2, 3]"),
        ("a cup box_1", {"box_1": None}, "must be four numbers, got None"),
        ("a cup box_1", {"box_1": [1, 2, 3, float("nan")]}, "must be four numbers"),
        ("a cup box_1", {"box_1": [True, 2, 3, 4]}, "must be four numbers"),
        ("a cup box_1", {"box_1": [10**4000, 2, 3, 4]}, "must be four numbers"),
        ("a" * 20_000, {f"{'a' * n}1": [1, 2, 3, 4] for n in range(2000)}, "may have 1000 keys"),
        ("a cup box_1, a mug box_2", {"box_1": [1, 2, 300, 400]}, "'box_2' is in the text"),
    ],
    ids=range(12),
)
def test_coordinates_that_cannot_be_used_leave_the_row_out(
    folder: Path, tmp_path: Path, got: str, coord: Any, reason: str
) -> None:
    with pytest.raises(GoTError) as refused:
        omni(folder, tmp_path, got, coord)
    assert "rows.jsonl" in str(refused.value) and reason in str(refused.value)
    assert not (folder / DATA_FILE).exists()


def test_boxes_that_are_lost_on_the_way_are_told(folder: Path, tmp_path: Path) -> None:
    report = omni(folder, tmp_path, "a cup turns blue", json.dumps({"box_1": [1, 2, 300, 400]}))
    assert "coordinates of 'box_1' have no place in the text" in report.fixed[0].reason
    assert report.without_boxes[0].where == "line 1"
    assert "line 1: has no box: 'a cup turns blue'" in report.text()
    report = omni(folder, tmp_path, "a cup box_1", json.dumps({"box_1": [0.1, 0.2, 0.5, 0.9]}))
    assert "shares of the side" in report.fixed[0].reason
    assert CANONICAL[10:56] in read_dataset(folder).rows[0].chain.text


def test_what_a_table_fills_in_is_nothing(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text(
        '{"prompt": "p", "got": "a cup (1,2),(300,400)", "image": "cup.png", "source": NaN, "coord": null}'
    )
    assert import_dataset(source, folder).written == 1
