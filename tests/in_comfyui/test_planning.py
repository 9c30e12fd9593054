"""GoT Plan with ComfyUI's own language models: asked, streamed, stopped, and what they cannot do."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .place import ComfyUI

PROBE = Path(__file__).with_name("planning_probe.py")
LOOKING = ["Qwen3-VL", "Qwen3.5", "Gemma 3", "Gemma 3 of LTX", "Gemma 4"]
TURNS = {
    "Qwen3-VL": ("<|im_start|>user\n", "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
    "Qwen3.5": ("<|im_start|>user\n", "<|im_start|>assistant\n<think>\n</think>\n"),
    "Gemma 3": ("<start_of_turn>user ", "<start_of_turn>model"),
    "Gemma 3 of LTX": ("<start_of_turn>user ", "<start_of_turn>model"),
    "Ministral 3": ("<s>[INST]", "[/INST]"),
}
"""Where each model's templates put the user's turn, and begin the model's."""


@pytest.fixture(scope="module")
def facts(comfyui: ComfyUI, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    written = tmp_path_factory.mktemp("planning") / "facts.json"
    command = [str(comfyui.python), str(PROBE), str(comfyui.folder), str(written)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-4000:]
    measured: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    return measured


@pytest.mark.parametrize("name", [*LOOKING, "Ministral 3"])
def test_each_model_is_asked_twice_and_then_a_message_says_what_it_wrote(
    facts: dict[str, Any], name: str
) -> None:
    model = facts["garbage"][name]
    assert len(model["asked"]) == 2
    assert "Your last answer could not be read" in model["asked"][1]
    assert model["message"].startswith("The language model gave no plan that can be read, asked twice.")
    assert model["texts"] > 2  # streamed
    assert model["hooks"] == 0
    assert model["again"] == model["message"]  # the same seed


@pytest.mark.parametrize("name", TURNS)
def test_the_request_is_a_turn_of_the_model_s_own_conversation(facts: dict[str, Any], name: str) -> None:
    begins, ends = TURNS[name]
    asked = facts["garbage"][name]["asked"][0]
    assert f"{begins}You plan pictures." in asked
    assert "a (red:1.2) fox" in asked  # no weights of ours
    assert asked.rstrip().endswith(ends.rstrip())


@pytest.mark.parametrize("name", LOOKING)
def test_a_model_with_a_vision_tower_sees_the_picture(facts: dict[str, Any], name: str) -> None:
    assert [asked[:2] for asked in facts["garbage"][name]["asked with a picture"]] == ["1 ", "1 "]


def test_one_without_is_not_asked_about_a_picture(facts: dict[str, Any]) -> None:
    assert "cannot look at pictures" in facts["garbage"]["Ministral 3"]["message with a picture"]


def test_one_that_comfyui_cannot_generate_with_names_others(facts: dict[str, Any]) -> None:
    assert "cannot write" in facts["cannot write"] and "Qwen3-VL" in facts["cannot write"]


def test_the_plan_grows_in_words_and_boxes_and_never_as_json(facts: dict[str, Any]) -> None:
    shown = facts["streamed"]["shown"]
    assert shown[:4] == ["", "A", "A red", "A red fox"]
    assert not any(sign in text for text in shown for sign in '{["')
    assert f"{shown[-1]}." == facts["streamed"]["text"]


def test_stop_ends_it_at_the_next_token_and_leaves_nothing_in_memory(facts: dict[str, Any]) -> None:
    stopped = facts["stopped"]
    assert stopped["ended"] == "interrupted"
    assert stopped["more"] <= 1
    assert stopped["kept"] == 0
    assert stopped["hooks"] == 0
