"""Boxes between the pack's nodes and ComfyUI's own: words, places and colours arrive."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .place import ComfyUI

PROBE = Path(__file__).with_name("boxes_probe.py")
ELEMENTS = [
    {"type": "obj", "bbox": [200, 100, 500, 400], "desc": "a red circle", "color_palette": ["#FF0000"]},
    {"type": "obj", "bbox": [600, 600, 900, 900], "desc": "a blue square", "color_palette": ["#008000"]},
]
CIRCLE, SQUARE = [100, 200, 400, 500], [600, 600, 900, 900]


@pytest.fixture(scope="module")
def facts(comfyui: ComfyUI, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    written = tmp_path_factory.mktemp("boxes") / "facts.json"
    command = [str(comfyui.python), str(PROBE), str(comfyui.folder), str(written)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-4000:]
    measured: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    return measured


def test_create_bounding_boxes_takes_places_words_and_colours(facts: dict[str, Any]) -> None:
    assert facts["elements"] == {
        "boxes": ELEMENTS,
        "elements": ELEMENTS,
        "text": ELEMENTS,
        "first": ELEMENTS[:1],
    }


def test_our_caption_is_the_one_that_comfyui_builds(facts: dict[str, Any]) -> None:
    assert facts["caption is the core's"]
    assert facts["background"] == "On a white background."


def test_draw_bboxes_draws_in_the_right_places(facts: dict[str, Any]) -> None:
    (top, left), (bottom, right) = facts["drawn"]
    assert (top, left) == (100, 100)
    assert abs(bottom - 450) <= 1 and abs(right - 900) <= 1


def test_what_comfyui_hands_back_is_the_same_plan(facts: dict[str, Any]) -> None:
    named = [["a red circle", *CIRCLE], ["a blue square", *SQUARE]]
    assert facts["back"] == {
        "caption": named,
        "elements": named,
        "boxes": [["one", *CIRCLE], ["two", *SQUARE]],
    }


def test_what_detectors_find_is_a_plan_with_their_words_or_yours(facts: dict[str, Any]) -> None:
    fox, tree = [100, 100, 400, 500], [600, 0, 999, 999]
    found = facts["detected"]
    assert found["rtdetr"] == [["potted plant", *fox], ["dog", *tree]]
    assert "Boxes of 2 pictures came in: those of the first are read." in found["rtdetr notes"]
    assert found["sam3"] == [["a fox", *fox], ["a tree", *tree]]
    assert found["sam3 without words"] == [["an object", *fox], ["an object", *tree]]
    assert "nothing was found. Lower the detector's threshold" in found["nothing found"]
