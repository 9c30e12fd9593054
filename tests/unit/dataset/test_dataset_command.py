"""The command line: dataset check, stats, preview and import."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from got_models.constants import LESSONS

from .folders import CHAIN, EDIT, GOOD, run, write_rows


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


def test_the_bundled_lessons_are_not_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lesson = LESSONS / "brown_crosses"
    before = {file: file.read_bytes() for file in LESSONS.rglob("*.*")}
    source = tmp_path / "rows.jsonl"
    source.write_text(json.dumps({"prompt": "a cup", "chain": CHAIN, "image": "01.png"}))
    for given in (
        ("annotate", lesson),
        ("annotate", LESSONS),
        ("import", source, lesson),
        ("import", source, LESSONS),
        ("export", lesson, "--coco", lesson / "data.jsonl"),
    ):
        code, _, err = run(capsys, *given)
        assert code == 2 and "Copy its folder" in err
    assert {file: file.read_bytes() for file in LESSONS.rglob("*.*")} == before


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
