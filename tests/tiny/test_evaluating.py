"""`evaluate`, `report` and `generate --look-again` on the bundled model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from got_models.__main__ import main
from got_models.chain.notations.plan import Element, LayoutPlan
from got_models.evaluation import trial, twenty_prompts
from got_models.pipeline import GoTModel
from got_models.saved_plans import read_chain

CIRCLE = {
    "tag": "colors",
    "prompt": "a red circle",
    "include": [{"class": "circle", "count": 1, "color": "red"}],
}
STARS = {"tag": "counting", "prompt": "two blue stars", "include": [{"class": "star", "count": 2}]}
QUICK = ["--steps", "1", "--scheduler", "euler"]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    file.write_text(f"{json.dumps(CIRCLE)}\n{json.dumps(STARS)}\n")
    return file


def seen(picture: Image.Image, phrases: list[str], *_: Any, **__: Any) -> LayoutPlan:
    """What a looker finds that finds everything in the middle."""
    return LayoutPlan((Element(phrases[0], (0.25, 0.25, 0.75, 0.75)),))


def test_plans_and_pictures_are_measured_and_written_as_geneval_expects_them(
    prompts: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(GoTModel, "locate", lambda self, *given, **_: seen(*given))
    out = tmp_path / "out"
    command = ["evaluate", str(prompts), "--checkpoint", str(checkpoint), "--out", str(out), *QUICK]
    assert main(command) == 0
    found = json.loads((out / "figures.json").read_text())
    assert found["colors"]["plan"] == {"value": 1.0, "count": 1} and found["overall"]["picture"]["count"] == 2
    assert found["counting"]["picture"]["value"] == 0.0  # one star was found, and two are asked for
    assert "| colors | 1.000 of 1 |" in capsys.readouterr().out
    assert json.loads((out / "00001" / "metadata.jsonl").read_text()) == STARS
    assert read_chain(out / "00000" / "samples" / "0000.png").prompt == "a red circle"

    monkeypatch.setattr(trial, "tried", None)  # which a second run does not need
    assert main(command) == 0
    monkeypatch.undo()
    assert main([*command, "--plans-only"]) == 0  # which is another run
    assert json.loads((out / "figures.json").read_text())["colors"]["picture"]["count"] == 0
    prompts.write_text(json.dumps(CIRCLE | {"include": [{"class": "circle", "count": 2}]}) + "\n")
    assert main([*command, "--plans-only"]) == 0  # and so is one with other rules
    assert json.loads((out / "figures.json").read_text())["colors"]["plan"]["value"] == 0.0


def test_several_pictures_of_a_prompt_differ_in_the_seed_and_the_first_is_not_drawn_again(
    prompts: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GoTModel, "locate", lambda self, *given, **_: seen(*given))
    out = tmp_path / "out"
    command = ["evaluate", str(prompts), "--checkpoint", str(checkpoint), "--out", str(out), *QUICK]
    assert main([*command, "--seed", "5"]) == 0
    first = (out / "00000" / "samples" / "0000.png").stat().st_mtime_ns
    assert main([*command, "--seed", "5", "--samples", "3"]) == 0
    folder = out / "00000"
    assert sorted(path.name for path in (folder / "samples").iterdir()) == [
        "0000.png",
        "0001.png",
        "0002.png",
    ]
    assert (folder / "samples" / "0000.png").stat().st_mtime_ns == first
    results = [folder / name for name in ("result.json", "result-0001.json", "result-0002.json")]
    assert [json.loads(file.read_text())["made_with"]["seed"] for file in results] == [5, 6, 7]
    found = json.loads((out / "figures.json").read_text())
    assert found["colors"]["picture"]["count"] == 3 and found["colors"]["plan"]["count"] == 1


def test_a_file_that_holds_no_prompts_is_refused_before_the_model_loads(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"tag": "x"}')
    assert main(["evaluate", str(tmp_path / "bad.jsonl"), "--out", str(tmp_path / "out")]) == 2
    assert "bad.jsonl, line 1" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_report_names_no_place_on_the_machine(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twenty_prompts, "TWENTY", twenty_prompts.TWENTY[:2])
    monkeypatch.setattr(GoTModel, "locate", lambda self, *given, **_: seen(*given))
    assert main(["report", str(checkpoint), "--out", str(tmp_path / "out"), *QUICK]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "### 2. a blue square and a yellow star" in text and "million weights" in text
    assert "- torch: " in text and "- scales: " in text
    for place in (checkpoint, tmp_path, Path.home()):
        assert str(place) not in text
    with Image.open(tmp_path / "out" / "contact_sheet.png") as sheet:
        assert sheet.width > 600


def test_a_generated_picture_is_looked_at_again(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The looker sees nothing the first time, and the circle in its box after one edit."""
    answers = [LayoutPlan(()), LayoutPlan((Element("red circle", (0.25, 0.25, 0.5, 0.5)),))]
    monkeypatch.setattr(GoTModel, "locate", lambda *_, **__: answers.pop(0))
    chain = tmp_path / "chain.txt"
    chain.write_text("A red circle (250,250),(500,500) on a white background.")
    command = ["generate", "a red circle", "--chain", str(chain), "--checkpoint", str(checkpoint)]
    assert main([*command, "--look-again", "3", "--out", str(tmp_path / "out"), *QUICK]) == 0
    told = capsys.readouterr().err
    assert "as it came: 0 of 1" in told and "turn 1, add a red circle in the top left: 1 of 1" in told
    assert read_chain(tmp_path / "out" / "image.png").task == "generate"
    with Image.open(tmp_path / "out" / "image.png") as picture:
        assert json.loads(picture.text["got_settings"])["edits"] == ["add a red circle in the top left"]  # type: ignore[attr-defined]
