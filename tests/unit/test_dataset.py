"""A dataset folder: every row is checked, nothing vanishes silently, and the content has one digest."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from got_models.__main__ import main
from got_models.dataset.buckets import bucket_sizes, nearest_bucket
from got_models.dataset.published import import_dataset
from got_models.dataset.rows import DATA_FILE, LONGEST_ASPECT, Dataset, read_dataset
from got_models.dataset.summary import preview, statistics
from got_models.errors import GoTError

CHAIN = "A red cup (100,200),(500,900) stands on a table."
CANONICAL = "A red cup <|box_start|>(100,200),(500,900)<|box_end|> (red) stands on a table."
GOOD = {"image": "cup.png", "prompt": "a red cup", "chain": CHAIN}
EDIT = {"image": "cup.png", "prompt": "make the cup red", "chain": CHAIN, "source": "old/cup.png"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, some of them with something wrong."""
    folder = tmp_path / "dataset"
    (folder / "old").mkdir(parents=True)
    Image.new("RGB", (120, 80), "red").save(folder / "cup.png")
    Image.new("RGB", (60, 40), "blue").save(folder / "old" / "cup.png")
    Image.new("RGB", (80, 80), "blue").save(folder / "square.png")
    Image.new("RGB", (500, 100), "blue").save(folder / "long.png")
    Image.new("RGB", (10, 10)).save(tmp_path / "outside.png")
    content = (folder / "cup.png").read_bytes()
    (folder / "half.png").write_bytes(content[: len(content) // 2])
    (folder / "text.png").write_text("no picture")
    return folder


def write_rows(folder: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / DATA_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def read(folder: Path, *rows: Any) -> Dataset:
    return read_dataset(write_rows(folder, *rows))


# Rows


def test_rows_come_with_canonical_chains_and_the_task_that_the_source_decides(folder: Path) -> None:
    dataset = read(folder, GOOD, "", EDIT)
    generation, edit = dataset.rows
    assert generation.chain.task == "generate" and generation.source is None
    assert generation.chain.text == CANONICAL
    assert (generation.image.width, generation.image.height) == (120, 80)
    assert edit.chain.task == "edit" and edit.source.path == folder / "old" / "cup.png"
    assert [row.where for row in dataset.rows] == ["line 1", "line 3"]
    assert dataset.bad == ()


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
        (GOOD | {"chain": "a cup <|im_end|>"}, "may not stand in a chain"),
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
    (bad,) = dataset.bad
    assert bad.where == "line 2"
    assert reason in bad.reason
    assert f"line 2: {bad.reason}" in dataset.report()


def test_a_line_that_is_no_utf8_spoils_only_itself(folder: Path) -> None:
    (folder / DATA_FILE).write_bytes(b"\xff\xfe\n" + json.dumps(GOOD).encode())
    dataset = read_dataset(folder)
    assert [bad.where for bad in dataset.bad] == ["line 1"]
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


# Buckets


@pytest.mark.parametrize("resolution_px", [128, 512, 1000, 1024])
def test_buckets_have_the_area_of_the_square_and_sides_that_the_vae_takes(resolution_px: int) -> None:
    sizes = bucket_sizes(resolution_px)
    assert all(side % 8 == 0 for size in sizes for side in size)
    assert all(0.9 < height * width / resolution_px**2 < 1.1 for height, width in sizes)
    assert {(width, height) for height, width in sizes} == set(sizes)
    assert (1024, 1024) in bucket_sizes(1024) and (128, 128) in bucket_sizes(128)


@pytest.mark.parametrize("resolution_px", [128, 512, 1024])
def test_no_picture_that_is_not_too_long_is_stretched_by_more_than_a_tenth(resolution_px: int) -> None:
    for percent in range(int(100 / LONGEST_ASPECT), int(100 * LONGEST_ASPECT) + 1):
        height, width = nearest_bucket(percent * 10, 1000, resolution_px)
        assert abs(math.log(width / height / (percent / 100))) < math.log(1.1)


def test_the_nearest_bucket_of_a_square_is_the_square() -> None:
    assert nearest_bucket(333, 333, 1024) == (1024, 1024)
    height, width = nearest_bucket(1920, 1080, 1024)
    assert (height, width) == (768, 1344)


# Figures and pictures


def test_the_figures_count_what_is_there(folder: Path) -> None:
    figures = statistics(read(folder, GOOD, GOOD, EDIT, GOOD | {"chain": "A cup."}, {}), 128)
    assert figures["usable rows"] == "4" and figures["bad rows"] == "1"
    assert figures["generations"] == "3" and figures["edits"] == "1"
    assert figures["rows that repeat another"] == "1"
    assert figures["boxes per chain"] == "0 to 1, mean 0.8"
    assert figures["chains without boxes"] == "1"
    assert figures["trained at 160 x 104"] == "4"


def test_the_figures_of_an_empty_dataset_are_zeros(folder: Path) -> None:
    assert statistics(read(folder), 128)["usable rows"] == "0"


def test_the_preview_shows_the_box_in_its_colour_over_the_picture(folder: Path) -> None:
    blue = GOOD | {"image": "square.png", "chain": CANONICAL.replace("(red)", "(lime)")}
    sheet = preview(read(folder, blue), 4)
    colors = {color for _, color in sheet.getcolors(sheet.width * sheet.height)}
    assert (0, 255, 0) in colors and (0, 0, 255) in colors


# Import


DOUBLE = CHAIN.replace("(100,200),(500,900)", "((100, 200), (500, 900))")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("rows.jsonl", {"caption": "a red cup", "GoT": CHAIN, "image_path": "cup.png", "score": 3}),
        ("rows.json", {"prompt": "a red cup", "got": DOUBLE, "target": "cup.png"}),
    ],
)
def test_published_rows_become_ours(folder: Path, tmp_path: Path, name: str, row: dict[str, Any]) -> None:
    source = tmp_path / name
    source.write_text(json.dumps([row] if name.endswith(".json") else row))
    report = import_dataset(source, folder)
    assert (report.written, report.mended, report.bad) == (1, (), ())
    (imported,) = read_dataset(folder).rows
    assert imported.chain.text == CANONICAL and imported.chain.prompt == "a red cup"


def test_an_edit_is_told_by_its_source_and_every_wording_gives_a_row(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    row = {"edited_prompt_list": ["make it red", "paint it red"], "got": CHAIN, "target_image": "cup.png"}
    source.write_text(json.dumps(row | {"source_image": "old/cup.png"}))
    assert import_dataset(source, folder).written == 2
    rows = read_dataset(folder).rows
    assert [(row.chain.task, row.chain.prompt) for row in rows] == [
        ("edit", "make it red"),
        ("edit", "paint it red"),
    ]


def test_what_is_mended_or_left_out_is_said(folder: Path, tmp_path: Path) -> None:
    rows = [
        {"prompt": "a cup", "got": "a cup (0,0),(1000,999)", "image": "cup.png"},
        {"prompt": "a cup", "got": CHAIN, "image": "missing.png"},
        {"prompt": "a cup", "image": "cup.png"},
        {"prompt": "a cup", "got": CHAIN, "image": {"bytes": "...", "path": None}},
        {"prompt": "a cup", "got": 5, "image": "cup.png"},
        7,
    ]
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "a.json").write_text(json.dumps(rows))
    report = import_dataset(tmp_path / "published", folder)
    assert report.written == 1
    assert [row.where for row in report.mended] == ["a.json row 1"]
    assert "must lie in 0 to 999" in report.mended[0].reason
    assert [row.where for row in report.bad] == [f"a.json row {number}" for number in range(2, 7)]
    assert "No chain under any of the names" in report.bad[1].reason
    assert "stands in the row itself" in report.bad[2].reason
    assert report.text().count("\n") == 6
    assert read_dataset(folder).bad == ()


def test_names_that_are_not_usual_can_be_given(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps({"q": "a cup", "prompt": "no", "a": CHAIN, "image": "cup.png"}))
    import_dataset(source, folder, {"prompt": "q", "chain": "a"})
    assert read_dataset(folder).rows[0].chain.prompt == "a cup"


def test_an_import_that_gives_nothing_writes_nothing(folder: Path, tmp_path: Path) -> None:
    before = sorted(folder.iterdir())
    for name, content in (("a.jsonl", "{}"), ("a.json", "{}"), ("b.json", "["), ("a.csv", "x")):
        (tmp_path / name).write_text(content)
        with pytest.raises(GoTError):
            import_dataset(tmp_path / name, folder)
    assert sorted(folder.iterdir()) == before


def test_an_import_overwrites_no_data(folder: Path, tmp_path: Path) -> None:
    write_rows(folder, GOOD)
    with pytest.raises(GoTError, match="exists already"):
        import_dataset(tmp_path, folder)
    assert len(read_dataset(folder).rows) == 1


def test_without_pyarrow_parquet_says_what_to_install(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(GoTError, match="pip install pyarrow"):
        import_dataset(tmp_path / "rows.parquet", folder)


def test_parquet_rows_become_ours(folder: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"caption": "a red cup", "got": CHAIN, "image": "cup.png", "source_image": None}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    assert import_dataset(tmp_path / "rows.parquet", folder).written == 1
    assert read_dataset(folder).rows[0].chain.text == CANONICAL
    (folder / DATA_FILE).unlink()
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(GoTError, match="cannot be read as parquet"):
        import_dataset(tmp_path / "rows.parquet", folder)


# The command line


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["dataset", *map(str, arguments)])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_check_lists_bad_rows_and_ends_with_2_only_then(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "check", write_rows(folder, GOOD)) == (0, "1 of 1 rows can be used.\n", "")
    code, out, err = run(capsys, "check", write_rows(folder, GOOD, {}))
    assert code == 2
    assert out == "1 of 2 rows can be used.\nline 2: The row lacks image and prompt and chain.\n"
    assert err.startswith("error: 1 rows of")


def test_stats_and_preview_go_on_without_the_bad_rows(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(folder, EDIT, {})
    code, out, _ = run(capsys, "stats", folder, "--resolution-px", "128")
    assert code == 0 and "edits: 1\n" in out and "bad rows: 1\n" in out
    code, out, _ = run(capsys, "preview", folder, "--out", tmp_path / "out")
    assert code == 0
    with Image.open(out.strip()) as sheet:
        assert sheet.height > 300


def test_import_takes_field_names_and_refuses_unknown_ones(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps({"prompt": "a cup", "plan": CHAIN, "image": "cup.png"}))
    with pytest.raises(SystemExit):
        run(capsys, "import", source, folder, "--field", "chian=plan")
    assert "expected one of prompt, chain, image, source" in capsys.readouterr().err
    assert run(capsys, "import", source, folder)[0] == 2
    code, out, _ = run(capsys, "import", source, folder, "--field", "chain=plan")
    assert (code, out) == (0, "1 rows written, 0 of them mended; 0 left out.\n")
