"""Validation shows what a training learns, remembers the best of it, and leaves no trace in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from got_models.__main__ import main
from got_models.dataset.encoding import Encoder
from got_models.dataset.rows import read_dataset
from got_models.diffusion.settings import SamplingSettings
from got_models.errors import GoTError
from got_models.mllm.settings import GenerationSettings
from got_models.pipeline import GoTModel
from got_models.training.config import LoraTraining, as_dictionary
from got_models.training.layout_iou import layout_iou
from got_models.training.run_files import ADAPTER_FILE, BEST_FILE, strip_file
from got_models.training.trainer import train_lora
from got_models.training.validation import Validation, make_strip
from got_models.weights.adapter_files import load_adapter, save_adapter

from .conftest import STEPS
from .lora_runs import assert_same_tensors, full_disk, logged, observing, saved, tensors

ROOT = Path(__file__).parents[2]


@pytest.fixture
def validated(config: LoraTraining) -> LoraTraining:
    """Trains on the two generations; the two edits are planned and drawn every other step."""
    return replace(config, validation_rows=2, validate_every_steps=2, validation_steps=2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Filled by the first test that validates without a stop."""
    return {}


def never_stopped(config: LoraTraining, whole: dict[str, Any]) -> dict[str, Any]:
    if not whole:
        seen: list[Validation] = []
        run = replace(config, out=config.out + "-whole")
        train_lora(run, observer=observing(on_validation=seen.append))
        whole |= {"seen": seen, "log": logged(run), "tensors": tensors(run), "out": Path(run.out)}
    return whole


def layout_ious(log: list[dict[str, Any]]) -> dict[int, float]:
    return {line["step"]: line["layout_iou"] for line in log if "layout_iou" in line}


def stopping_at(step: int) -> dict[str, Callable[..., Any]]:
    """Arguments that stop a training as soon as it may be asked after so many steps."""
    taken: list[int] = []
    return {
        "on_step": lambda progress: taken.append(progress.step),
        "should_stop": lambda: bool(taken) and taken[-1] == step,
    }


def test_it_comes_before_the_first_step_then_when_due_and_at_the_end(validated, whole) -> None:
    run = never_stopped(validated, whole)
    assert [validation.step for validation in run["seen"]] == [0, 2, 4, 6]
    assert list(layout_ious(run["log"])) == [0, 2, 4, 6]
    for validation in run["seen"]:
        assert layout_ious(run["log"])[validation.step] == pytest.approx(validation.layout_iou, abs=1e-5)
        with Image.open(strip_file(run["out"], validation.step)) as strip:
            assert np.array_equal(np.asarray(strip), np.asarray(validation.strip))
            assert strip.size == (2 * 512, 2 * 512)
    assert len(list((run["out"] / "samples").iterdir())) == 4


def test_it_leaves_no_trace_in_the_training(validated, whole, dataset, tmp_path) -> None:
    folder = tmp_path / "first-two"
    shutil.copytree(dataset, folder)
    lines = (dataset / "data.jsonl").read_text().splitlines()
    (folder / "data.jsonl").write_text("\n".join(lines[:-2]))
    plain = replace(validated, dataset=str(folder), validation_rows=0, validate_every_steps=0)
    train_lora(plain)
    run = never_stopped(validated, whole)
    assert_same_tensors(tensors(plain), run["tensors"])
    assert logged(plain) == [line for line in run["log"] if "layout_iou" not in line]
    assert not (Path(plain.out) / BEST_FILE).exists()


def test_it_shows_what_a_model_with_the_adapter_plans_and_draws(validated, whole) -> None:
    run = never_stopped(validated, whole)
    rows = read_dataset(validated.dataset).rows[-2:]

    def planned_and_drawn(model: GoTModel) -> tuple[float, Image.Image]:
        sources = [Image.open(row.source.path) for row in rows]
        sizes = [Encoder(model, 64, Path(validated.dataset)).size(row) for row in rows]
        plans = [
            model.reason(row.chain.prompt, source, settings=GenerationSettings(temperature=0.0))
            for row, source in zip(rows, sources, strict=True)
        ]
        pictures = [
            model.sample(model.encode(plan, source, size), SamplingSettings(seed=validated.seed, steps=2))
            for plan, source, size in zip(plans, sources, sizes, strict=True)
        ]
        ious = [layout_iou(row.chain, plan) for row, plan in zip(rows, plans, strict=True)]
        return sum(ious) / 2, make_strip(list(zip(rows, plans, strict=True)), pictures)

    def difference(first: Image.Image, second: Image.Image) -> float:
        return float(np.abs(np.asarray(first, float) - np.asarray(second, float)).mean())

    model = GoTModel.from_pretrained(validated.checkpoint)
    untrained_iou, untrained = planned_and_drawn(model)
    assert run["seen"][0].layout_iou == pytest.approx(untrained_iou)
    assert difference(run["seen"][0].strip, untrained) < 0.1
    model.apply_adapter(load_adapter(run["out"] / ADAPTER_FILE))
    iou, strip = planned_and_drawn(model)
    assert run["seen"][-1].layout_iou == pytest.approx(iou)
    assert difference(run["seen"][-1].strip, strip) < 0.1
    assert difference(untrained, strip) > 0.5


def test_a_stopped_run_has_every_validation_once_and_the_same_best(validated, whole) -> None:
    run = never_stopped(validated, whole)
    assert train_lora(validated, stop_after_steps=3) is None
    assert train_lora(validated, resume=True, stop_after_steps=1) is None
    assert train_lora(validated, resume=True)
    assert logged(validated) == run["log"]
    assert_same_tensors(tensors(validated), run["tensors"])
    best, expected = (load_adapter(folder / BEST_FILE) for folder in (Path(validated.out), run["out"]))
    assert best.information == expected.information
    assert_same_tensors(best.tensors, expected.tensors)


def test_the_best_adapter_is_that_of_the_best_plans(validated, whole) -> None:
    run = never_stopped(validated, whole)
    ious = {validation.step: validation.layout_iou for validation in run["seen"]}
    information = load_adapter(run["out"] / BEST_FILE).information
    assert information["layout_iou"] == max(ious.values())
    assert information["steps"] == next(step for step, iou in ious.items() if iou == max(ious.values()))


def test_a_resumed_run_knows_the_best_so_far(validated) -> None:
    train_lora(validated, stop_after_steps=1)
    file = Path(validated.out) / BEST_FILE
    best = load_adapter(file)
    save_adapter(file, replace(best, information=best.information | {"layout_iou": 2.0}))
    content = file.read_bytes()
    train_lora(validated, resume=True)
    assert file.read_bytes() == content


def test_a_stop_in_the_middle_of_it_saves_and_it_is_made_up_for(validated, whole) -> None:
    run = never_stopped(validated, whole)
    assert train_lora(validated, observer=observing(**stopping_at(2))) is None
    assert saved(validated) == ["state-lora-2"]
    assert list(layout_ious(logged(validated))) == [0]
    assert train_lora(validated, resume=True, observer=observing(**stopping_at(STEPS))) is None
    assert saved(validated)[-1] == f"state-lora-{STEPS}"
    assert train_lora(validated, resume=True) == Path(validated.out) / ADAPTER_FILE
    assert logged(validated) == run["log"]
    assert_same_tensors(tensors(validated), run["tensors"])


def test_rows_that_leave_nothing_to_train_on_or_nothing_to_compare_are_refused(
    validated, dataset, tmp_path
) -> None:
    with pytest.raises(GoTError, match="validation_rows is 4, but the dataset has 4 rows"):
        train_lora(replace(validated, validation_rows=4))
    folder = tmp_path / "no-boxes"
    shutil.copytree(dataset, folder)
    rows = [json.loads(line) for line in (dataset / "data.jsonl").read_text().splitlines()]
    rows[-1]["chain"] = rows[-2]["chain"] = "Something changes."
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(GoTError, match="None of the last 2 rows has boxes"):
        train_lora(replace(validated, dataset=str(folder)))
    assert not Path(validated.out).exists()


def test_a_disk_that_fills_up_meanwhile_stops_the_run_and_leaves_the_last_state(validated) -> None:
    train_lora(validated, stop_after_steps=2)
    message = r"validation of step 2 cannot be written.*last good state is state-lora-2"
    with full_disk(), pytest.raises(GoTError, match=message):
        train_lora(validated, resume=True)
    assert saved(validated) == ["state-lora-2"]


def test_the_command_line_says_how_well_it_plans_where_the_pictures_lie_and_how_long_it_takes(
    validated, tmp_path, capsys
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(as_dictionary(validated)))
    assert main(["train", str(file), "--stop-after-steps", "3"]) == 0
    said = capsys.readouterr().err
    for step, iou in layout_ious(logged(validated)).items():
        strip = strip_file(Path(validated.out), step)
        assert f"step {step}: layout IoU {iou:.3f}, pictures in {strip}" in said
        assert strip.is_file()
    assert "ETA" in said


def test_it_works_in_half_precision(validated) -> None:
    seen: list[Validation] = []
    half = replace(validated, precision="bfloat16", gradient_checkpointing=True)
    train_lora(half, stop_after_steps=1, observer=observing(on_validation=seen.append))
    assert [validation.step for validation in seen] == [0]
    assert np.asarray(seen[0].strip).std() > 1
