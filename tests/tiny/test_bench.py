"""`bench`, end to end with few steps."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from got_models.__main__ import main

STAGES = {"reasoning", "first encoding", "encoding after a move", "sampling", "decoding"}


def test_bench_compares_every_stage_and_finds_the_same_pictures(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--checkpoint", checkpoint, "--device", "cpu", "--rounds", 2, "--steps", 2, "--size", "64x96"]
    assert main([str(option) for option in ["bench", *options, "--out", tmp_path / "out"]]) == 0
    assert os.listdir(tmp_path / "out") == ["bench.json"]
    figures = json.loads((tmp_path / "out/bench.json").read_text())
    assert (figures["size"], figures["steps"], figures["dtype"]) == ("64x96", 2, "float32")
    assert len(figures["seconds"]) == 6
    for compared in figures["seconds"].values():
        assert len(compared["published"]) == len(compared["library"]) == 2
        assert min(compared["published"] + compared["library"]) > 0
    assert set(figures["bytes"]) == STAGES
    assert len(figures["decibels"]) == 3
    assert all(value is None or value >= 45 for value in figures["decibels"])
    output = capsys.readouterr().out
    assert all(name in output for name in figures["seconds"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "1001"], "at most 1000"),
        (["--size", "32x64"], "from 64 to 2048"),
        (["--checkpoint", "nowhere"], "There is no checkpoint folder nowhere"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_the_work(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    command = ["bench", "--checkpoint", str(checkpoint), "--device", "cpu", "--out", str(tmp_path / "out")]
    assert main([*command, *options]) == 2
    assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(psutil.virtual_memory().available > 30e9, reason="needs a machine with little memory")
def test_the_full_size_is_refused_where_it_has_no_room(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--checkpoint", "random-6b", "--device", "cpu"]) == 2
    assert "Use a GPU" in capsys.readouterr().err
