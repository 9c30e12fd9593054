"""A dataset folder: every row is checked, nothing vanishes silently, and the content has one digest."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from got_models.__main__ import main
from got_models.dataset.buckets import bucket_sizes, nearest_bucket
from got_models.dataset.published import ImportReport, import_dataset
from got_models.dataset.rows import DATA_FILE, MAX_ASPECT, Dataset, read_dataset
from got_models.dataset.summary import preview, statistics
from got_models.errors import GoTError

ROOT = Path(__file__).parents[3]
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
    for percent in range(int(100 / MAX_ASPECT), int(100 * MAX_ASPECT) + 1):
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
    assert (report.written, report.fixed, report.invalid) == (1, (), ())
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


def test_what_looks_like_coordinates_is_told_and_the_row_stays(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = {**GOOD, "chain": "A red cup [100,200,500,900] stands on a table."}
    dataset = read(folder, GOOD, odd)
    assert len(dataset.rows) == 2
    assert "2 of 2 rows can be used.\nline 2: warning: '[100,200,500,900]' looks like" in dataset.report()
    assert main(["dataset", "check", str(folder)]) == 0
    assert "line 2: warning: '[100,200,500,900]'" in capsys.readouterr().out
    (folder / DATA_FILE).unlink()
    (tmp_path / "a.json").write_text(json.dumps([GOOD, odd]))
    report = import_dataset(tmp_path / "a.json", folder)
    assert report.fixed == report.invalid == ()
    assert len(report.odd) == 1
    assert "row 2: warning: '[100,200,500,900]'" in report.text()


def test_what_is_mended_or_left_out_is_said(folder: Path, tmp_path: Path) -> None:
    rows = [
        {"prompt": "a cup", "got": "a cup (0,0),(1001,999)", "image": "cup.png"},
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
    assert [row.where for row in report.fixed] == ["a.json row 1"]
    assert "must be in 0 to 999" in report.fixed[0].reason
    assert [row.where for row in report.invalid] == [f"a.json row {number}" for number in range(2, 7)]
    assert "No chain under any of the names" in report.invalid[1].reason
    assert "is embedded in the row" in report.invalid[2].reason
    assert report.text().count("\n") == 6
    assert read_dataset(folder).invalid == ()


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
    assert (code, out) == (0, "1 rows written, 0 of them fixed; 0 left out.\n")


# What odd folders and files hold


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


# Published rows with coordinates of their own


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


# Two at once


def test_of_two_imports_at_once_one_writes_and_the_other_is_told(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    row = {"prompt": "a cup", "got": CHAIN, "image": "cup.png"}
    source.write_text("".join(json.dumps(row) + "\n" for _ in range(300)))
    (folder / "data.part").write_text("mine")
    command = [sys.executable, "-m", "got_models", "dataset", "import", str(source), str(folder)]
    both = [
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    ]
    ends = sorted((process.wait(timeout=120), process.communicate()[1].decode()) for process in both)
    assert [code for code, _ in ends] == [0, 2]
    assert "Another import" in ends[1][1] or "exists already" in ends[1][1]
    assert len(read_dataset(folder).rows) == 300 and read_dataset(folder).invalid == ()
    assert (folder / "data.part").read_text() == "mine"
    assert not [name for name in os.listdir(folder) if name.startswith(".got")]


def test_an_import_onto_a_full_disk_leaves_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource", reason="limits on file sizes are a matter of POSIX")
    source = tmp_path / "rows.jsonl"
    source.write_text(
        "".join(json.dumps({"prompt": "p", "got": CHAIN, "image": "cup.png"}) + "\n" for _ in range(90))
    )
    before = sorted(folder.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        code, _, err = run(capsys, "import", source, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 2 and "File too large" in err and err.count("\n") == 1
    assert sorted(folder.iterdir()) == before
