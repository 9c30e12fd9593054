"""Published rows become data.jsonl."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from got_models.__main__ import main
from got_models.dataset.published import import_dataset
from got_models.dataset.rows import DATA_FILE, read_dataset
from got_models.errors import GoTError

from .folders import CANONICAL, CHAIN, GOOD, ROOT, read, run, write_rows

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
