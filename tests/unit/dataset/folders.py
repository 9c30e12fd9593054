"""Rows, and a dataset folder that holds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from got_models.__main__ import main
from got_models.dataset.rows import DATA_FILE, Dataset, read_dataset

ROOT = Path(__file__).parents[3]
CHAIN = "A red cup (100,200),(500,900) stands on a table."
CANONICAL = "A red cup <|box_start|>(100,200),(500,900)<|box_end|> (red) stands on a table."
GOOD = {"image": "cup.png", "prompt": "a red cup", "chain": CHAIN}
EDIT = {"image": "cup.png", "prompt": "make the cup red", "chain": CHAIN, "source": "old/cup.png"}


def write_rows(folder: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / DATA_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def read(folder: Path, *rows: Any) -> Dataset:
    return read_dataset(write_rows(folder, *rows))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["dataset", *map(str, arguments)])
    output = capsys.readouterr()
    return code, output.out, output.err
