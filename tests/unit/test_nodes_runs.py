"""Where trainings lie, which adapters are listed, and what the page is told of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from got_pack.got_models.errors import GoTError
from got_pack.nodes._comfy import BUNDLED_DATASETS, dataset_folder
from got_pack.nodes._runs import MOST_POINTS, Report, adapter_file, adapter_names, run_folder, thinned
from got_pack.nodes.training import merged, read_settings


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two trainings and three files for LoRA in it."""
    monkeypatch.chdir(tmp_path)
    for file in (
        *("output/got_training/mine/adapter.safetensors", "output/got_training/mine/best.safetensors"),
        *("output/got_training/mine/unet_lora.safetensors", "output/got_training/.cache/adapter.safetensors"),
        *("output/got_training/a run/adapter.safetensors", "models/loras/sdxl.safetensors"),
        *("models/loras/got/cups.safetensors", "models/loras/got/mugs/red.safetensors"),
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return tmp_path


def write_log(folder: Path, *lines: dict[str, Any] | str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "losses.jsonl").write_text("\n".join(texts))


def test_adapters_of_trainings_and_of_the_lora_folder_are_listed_and_nothing_else(place: Path) -> None:
    assert adapter_names() == [
        "got_training/a run/adapter.safetensors",
        "got_training/mine/adapter.safetensors",
        "got_training/mine/best.safetensors",
        "got/cups.safetensors",
        "got/mugs/red.safetensors",
    ]
    assert adapter_file("got/mugs/red.safetensors") == place / "models/loras/got/mugs/red.safetensors"
    assert (
        adapter_file("got_training/mine/best.safetensors")
        == place / "output/got_training/mine/best.safetensors"
    )


@pytest.mark.parametrize("name", ["sdxl.safetensors", "got/../sdxl.safetensors", "/etc/passwd", ""])
def test_only_what_is_listed_can_be_chosen(place: Path, name: str) -> None:
    with pytest.raises(GoTError, match="There is no GoT adapter"):
        adapter_file(name)


@pytest.mark.parametrize("name", ["", "..", "../mine", "a/b", "a\\b", ".cache", "mine ", "mine."])
def test_a_training_has_a_name_that_is_a_folder_of_its_own(place: Path, name: str) -> None:
    with pytest.raises(GoTError, match="cannot be the name of a training"):
        run_folder(name)


def test_the_bundled_dataset_goes_by_its_name_everywhere(place: Path) -> None:
    (name,) = BUNDLED_DATASETS
    assert (dataset_folder(name) / "data.jsonl").is_file()


def test_a_report_goes_on_where_the_runs_files_end(place: Path) -> None:
    write_log(
        run_folder("mine"),
        {"step": 0, "layout_iou": 0.25},
        {"step": 0, "chain": 2.0, "diffusion": 0.5},
        {"step": 1, "chain": 1.0, "diffusion": 0.25},
        {"step": 2, "chain": 0.5, "diffusion": 0.125},
        '{"step": 3, "cha',
    )
    (run_folder("mine") / "samples").mkdir()
    for step in (2, 10):
        (run_folder("mine") / "samples" / f"step-{step:06d}.png").touch()
    report = Report("mine", 4)
    report.step(2, {"chain": 9.0, "diffusion": 8.0})  # what came after the last state is done again
    message = report.as_message()
    assert message["curves"] == {
        "chain": [[1, 2.0], [2, 9.0]],
        "diffusion": [[1, 0.5], [2, 8.0]],
        "layout_iou": [[0, 0.25]],
    }
    assert (message["step"], message["steps"], message["state"]) == (2, 4, "training")
    assert message["samples"] == "step-000010.png"


def test_the_page_is_told_at_most_twice_a_second_but_of_each_validation_and_the_end(place: Path) -> None:
    told: list[dict[str, Any]] = []
    report = Report("new", 1000, told.append)
    for step in range(1, 1001):
        report.step(step, {"chain": 1.0, "diffusion": 1.0})
    assert 1 <= len(told) <= 3  # a thousand steps take well below a second here
    before = len(told)
    report.validation(1000, 0.5)
    report.end("done")
    assert len(told) == before + 2
    assert told[-1]["state"] == "done"
    assert told[-1]["step"] == 1000


def test_long_curves_are_thinned_to_means() -> None:
    assert thinned([]) == []
    assert thinned([(1, 2.0), (2, 4.0)]) == [[1, 2.0], [2, 4.0]]
    long = thinned([(step, float(step % 2)) for step in range(1, 10 * MOST_POINTS + 1)])
    assert len(long) == MOST_POINTS
    assert long[0] == [10, 0.5]
    assert long[-1] == [10 * MOST_POINTS, 0.5]


def test_settings_lie_over_the_inputs_also_inside_a_part() -> None:
    inputs = {"steps": 5, "unet": {"rank": 8, "alpha": 8}}
    settings = read_settings("steps: 7\nunet:\n  alpha: 16\nema_decay: 0.9\n")
    assert merged(inputs, settings) == {"steps": 7, "unet": {"rank": 8, "alpha": 16}, "ema_decay": 0.9}
    assert merged(inputs, read_settings("  \n")) == inputs


@pytest.mark.parametrize(
    "text", ["a lot", "- 1", "3", "unet: {", "cache: /tmp", "!!python/object:os.system {}"]
)
def test_settings_that_are_no_keys_and_values_are_refused(text: str) -> None:
    with pytest.raises(GoTError, match="settings"):
        read_settings(text)
