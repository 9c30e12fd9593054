"""`bench`, end to end with few steps."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from statistics import median

import psutil
import pytest
import torch
import yaml

from got_models.__main__ import main
from got_models.bench.caching import NoCache
from got_models.dataset.encoding import Cache

EXAMPLE = Path(__file__).parents[2] / "lessons" / "brown_crosses"

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


def test_bench_of_a_training_takes_turns_with_and_without_the_cache(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (EXAMPLE / "data.jsonl").read_text().splitlines()
    rows = [row for row in rows if "source" not in json.loads(row)][:3]
    for row in rows:
        shutil.copy(EXAMPLE / json.loads(row)["image"], tmp_path)
    (tmp_path / "data.jsonl").write_text("\n".join(rows))
    values = {
        "checkpoint": str(checkpoint),
        "dataset": ".",
        "out": "run",
        "batch_rows": 2,
        "resolution_px": 64,
    }
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(values | {"precision": "float32"}))
    command = ["bench", "--training", str(config), "--device", "cpu", "--rounds", "2"]
    assert main([*command, "--out", str(tmp_path / "figures")]) == 0
    figures = json.loads((tmp_path / "figures/bench.json").read_text())
    assert figures["rows"] == 3
    assert len(figures["seconds"]["plain"]) == len(figures["seconds"]["cached"]) == 2
    assert figures["ratio"] == median(figures["seconds"]["plain"]) / median(figures["seconds"]["cached"])
    assert f"ratio {figures['ratio']:.2f}" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_without_the_cache_everything_is_computed_each_time_and_nothing_is_written(tmp_path: Path) -> None:
    computed = []

    def compute() -> torch.Tensor:
        computed.append(torch.ones(1))
        return computed[-1]

    for cache, times in ((NoCache(tmp_path / "none"), 3), (Cache(tmp_path / "files"), 1)):
        computed.clear()
        assert [cache.get("origin", compute).item() for _ in range(3)] == [1.0] * 3
        assert len(computed) == times
    assert os.listdir(tmp_path) == ["files"]


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
