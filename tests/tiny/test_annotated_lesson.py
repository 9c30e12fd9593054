"""The lesson annotated in place of its hand-made rows; docs/datasets.md says what is learned from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from got_models.chain.chain import ReasoningChain
from got_models.training.config import read_config

SCRIPT = Path(__file__).with_name("annotated_lesson.py")


def test_every_picture_of_the_lesson_becomes_rows_that_nobody_doubts(tmp_path: Path) -> None:
    folder = tmp_path / "lesson"
    subprocess.run([sys.executable, SCRIPT, folder], check=True, capture_output=True, timeout=300)
    rows = [json.loads(line) for line in (folder / "data/data.jsonl").read_text().splitlines()]
    pictures = {row["image"]: row for row in rows}
    assert len(pictures) == 40
    assert not (folder / "data/review.jsonl").exists()
    assert pictures["01.png"]["prompt"] == (
        "a medium red cross above a small orange cross on a light gray background"
    )
    edit = next(row for row in rows if row["image"] == "27.png")
    chain = ReasoningChain.read(edit["chain"], "edit", edit["prompt"])
    assert [region.phrase for region in chain.regions] == ["a medium green star", "a medium purple triangle"]
    assert "The result shows a green square" in chain.text
    assert read_config(folder / "train.yaml").preserved_rows == 128
