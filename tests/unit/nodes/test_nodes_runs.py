"""Where trainings lie, which adapters are listed, and what the page is told of a run."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from got_pack.got_models.errors import GoTError
from got_pack.nodes import _runs
from got_pack.nodes._comfy.folders import BUNDLED_DATASETS, dataset_folder
from got_pack.nodes._runs import (
    MAX_POINTS,
    Report,
    adapter_file,
    adapter_names,
    answer_page,
    run_folder,
    thinned,
)
from got_pack.nodes.training import merged, read_settings


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with two trainings and three files for LoRA in it."""
    monkeypatch.chdir(tmp_path)
    server = SimpleNamespace(web=SimpleNamespace(json_response=lambda values: values))
    monkeypatch.setitem(sys.modules, "aiohttp", server)
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
    messages: list[dict[str, Any]] = []
    report = Report("new", 1000, messages.append)
    for step in range(1, 1001):
        report.step(step, {"chain": 1.0, "diffusion": 1.0})
    assert 1 <= len(messages) <= 3  # a thousand steps take well below a second here
    before = len(messages)
    report.validation(1000, 0.5)
    report.end("done")
    assert len(messages) == before + 2
    assert messages[-1]["state"] == "done"
    assert messages[-1]["step"] == 1000


def test_long_curves_are_thinned_to_means() -> None:
    assert thinned([]) == []
    assert thinned([(1, 2.0), (2, 4.0)]) == [[1, 2.0], [2, 4.0]]
    long = thinned([(step, float(step % 2)) for step in range(1, 10 * MAX_POINTS + 1)])
    assert len(long) == MAX_POINTS
    assert long[0] == [10, 0.5]
    assert long[-1] == [10 * MAX_POINTS, 0.5]


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


# The page's request


def ask(name: str) -> dict[str, Any]:
    """What the server answers, read as the page reads it: JSON knows no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    request = SimpleNamespace(match_info={"name": name})
    with ThreadPoolExecutor() as threads:  # a browser of other tests may hold this thread's event loop
        answer = threads.submit(lambda: asyncio.run(answer_page(request))).result()
    return json.loads(json.dumps(answer), parse_constant=refuse)


RUNS_FILES: dict[str, bytes] = {
    "no JSON": b"{",
    "empty": b"",
    "list": b"[]",
    "number": b"3",
    "null": b"null",
    "no config": b"{}",
    "config of another type": b'{"config": []}',
    "config null": b'{"config": null}',
    "no steps": b'{"config": {}}',
    "steps as text": b'{"config": {"steps": "4"}}',
    "steps as true": b'{"config": {"steps": true}}',
    "steps a fraction": b'{"config": {"steps": 4.5}}',
    "steps NaN": b'{"config": {"steps": NaN}}',
    "steps 0": b'{"config": {"steps": 0}}',
    "steps huge": b'{"config": {"steps": 1' + b"0" * 400 + b"}}",
    "steps longer than a number may be": b'{"config": {"steps": ' + b"1" * 5000 + b"}}",
    "deep": b"[" * 100_000,
    "other bytes": b"\xff\xfe\x00",
    "huge": b" " * 2_000_000,
}


@pytest.mark.parametrize("content", RUNS_FILES.values(), ids=RUNS_FILES)
def test_a_damaged_run_is_none_for_the_page(place: Path, content: bytes) -> None:
    (run_folder("mine") / "run.json").write_bytes(content)
    assert ask("mine") == {}


@pytest.mark.parametrize("name", ["nothing", "", "..", "x" * 300, "\ud800", "a\0b"])
def test_a_name_of_no_run_is_none_for_the_page(place: Path, name: str) -> None:
    assert ask(name) == {}


def begin(steps: int) -> Path:
    (run_folder("mine") / "run.json").write_text(json.dumps({"config": {"steps": steps}}))
    return run_folder("mine")


LINES = [
    *("[]", "3", "null", "{}", '"x"', "[" * 100_000, "\x00", '{"step": 1, "cha'),
    *(
        '{"step": "1", "chain": 1}',
        '{"step": true, "chain": 1}',
        '{"step": 1.5, "chain": 1}',
        '{"step": null}',
    ),
    *('{"step": -5, "chain": 1}', '{"step": 400, "chain": 1}', '{"step": 1' + "0" * 400 + ', "chain": 1}'),
    '{"step": ' + "1" * 5000 + "}",
]
VALUES = ["NaN", "Infinity", "-Infinity", '"2"', "null", "true", "[1]", "{}", "1e999", "1" + "0" * 400]


def test_damaged_lines_of_a_log_are_skipped_and_the_others_drawn(place: Path) -> None:
    values = [f'{{"step": 1, "chain": {value}, "diffusion": 0.5}}' for value in VALUES]
    folder = begin(4)
    write_log(folder, {"step": 0, "chain": 2.0, "diffusion": 1.0}, *LINES, *values, {"step": 2, "chain": 1.0})
    (folder / "samples").write_text("no folder")
    message = ask("mine")
    assert message["curves"] == {
        "chain": [[1, 2.0], [3, 1.0]],
        "diffusion": [[1, 1.0], [2, 0.5]],
        "layout_iou": [],
    }
    assert (message["step"], message["state"], message["samples"]) == (3, "stopped", None)


def test_a_log_that_is_no_file_is_empty(place: Path) -> None:
    folder = begin(4)
    (folder / "losses.jsonl").mkdir()
    assert ask("mine")["step"] == 0
    (folder / "losses.jsonl").rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "losses.jsonl")  # reading it would wait for ever
        assert ask("mine")["step"] == 0


def test_of_a_huge_log_only_pieces_are_read_and_the_curve_keeps_its_form(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begin(100_000)
    with (folder / "losses.jsonl").open("w") as log:
        log.writelines(f'{{"step": {step}, "chain": {step / 1000}}}\n' for step in range(100_000))
        log.write('{"step": 7')
    monkeypatch.setattr(_runs, "MAX_LOG", 500_000)
    assert sum(map(len, _runs.log_lines(folder / "losses.jsonl"))) <= 500_000
    message = ask("mine")
    curve = message["curves"]["chain"]
    assert len(curve) <= MAX_POINTS and curve[0][0] < 1000 and curve[-1][0] > 99_900
    assert all(abs(value - step / 1000) < 1 for step, value in curve)
    assert message["step"] == 100_000


def test_the_page_is_answered_while_a_log_is_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(4)
    threads: list[int] = []
    monkeypatch.setattr(_runs, "log_lines", lambda file: threads.append(threading.get_ident()) or [])
    assert ask("mine")["step"] == 0
    assert threads and threads[0] != threading.get_ident()


def test_folders_behind_links_are_listed_once_and_a_circle_is_no_trap(place: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far.safetensors").touch()
    loras = place / "models/loras/got"
    (loras / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(loras)
    assert "got/linked/far.safetensors" in adapter_names()
    assert sum(name.endswith("cups.safetensors") for name in adapter_names()) == 1
