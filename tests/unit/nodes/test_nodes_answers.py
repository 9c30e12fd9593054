"""What the page is told about checkpoints and plans, whatever it asks."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.nodes._answers import for_own_pages, notes_on, own_settings, pasted_plan
from got_pack.nodes._comfy.folders import BUNDLED_NAME

CHAIN = ReasoningChain.parse("There is a cat (1,2),(300,400).", "generate", "a cat").to_json()


def ask(**question: Any) -> list[dict[str, str]]:
    return notes_on(json.dumps(question).encode())


def test_pages_of_other_sites_are_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def answer(request: Any) -> Any:
        asked.append(request)
        return SimpleNamespace(status=200)

    web = SimpleNamespace(Response=lambda status, text: SimpleNamespace(status=status))
    monkeypatch.setitem(sys.modules, "aiohttp", SimpleNamespace(web=web))

    def status(**headers: str) -> int:
        request: Any = SimpleNamespace(
            headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        with ThreadPoolExecutor() as threads:  # a browser of other tests may hold this thread's event loop
            return threads.submit(lambda: asyncio.run(for_own_pages(answer)(request))).result().status

    assert status(Sec_Fetch_Site="cross-site") == 403 and asked == []
    for headers in ({}, {"Sec_Fetch_Site": "same-origin"}, {"Sec_Fetch_Site": "none"}):
        assert status(**headers) == 200
    assert len(asked) == 3


def test_a_checkpoints_own_settings_are_told_by_its_name() -> None:
    generate = own_settings(BUNDLED_NAME)["generate"]
    assert (generate["steps"], generate["semantic"], generate["max_new_tokens"]) == (50, 2.0, 384)
    assert generate["temperature"] == 0
    assert generate["speed"] == "fast"


@pytest.mark.parametrize("name", ["", "../tiny", "/etc", "tiny", "\ud800", "a\0b", "<b>"])
def test_of_what_is_no_checkpoint_nothing_is_told(name: str) -> None:
    assert own_settings(name) == {}
    assert ask(chain=CHAIN, checkpoint=name) == []


def test_a_plan_is_checked_against_what_its_checkpoint_knows() -> None:
    (note,) = ask(chain=CHAIN, checkpoint=BUNDLED_NAME)
    assert note["en"].startswith("The bundled model has not learned: cat.")
    assert "cat" in note["zh"]
    assert ask(chain=CHAIN) == ask(chain=CHAIN, checkpoint=7) == []


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"chain": 7}',
        b'{"chain": {}}',
        json.dumps({"chain": CHAIN, "checkpoint": BUNDLED_NAME}).encode() + b" " * 2_000_000,
    ],
    ids=range(10),
)
def test_about_what_is_no_plan_nothing_is_said(question: bytes) -> None:
    assert notes_on(question) == []


QWEN = '```json\n[{"bbox_2d": [100, 200, 400, 500], "label": "a red cat"}]\n```'
IDEOGRAM = json.dumps(
    {
        "high_level_description": "a cat",
        "compositional_deconstruction": {
            "background": "A white room.",
            "elements": [{"type": "obj", "bbox": [200, 100, 500, 400], "desc": "a red cat"}],
        },
    }
)
BOX = [100, 200, 400, 500]


def test_of_a_plan_whose_boxes_are_all_off_it_is_said() -> None:
    details = {"version": 1, "boxes": [{"color": "red", "phrase": "a cat", "on": False}]}
    (note,) = ask(chain={**CHAIN, "details": details})
    assert "switched off" in note["en"] and note["zh"]


def paste(text: Any, **more: Any) -> dict[str, Any]:
    return pasted_plan(json.dumps({"text": text, "task": "generate", "prompt": "", **more}).encode())


@pytest.mark.parametrize(
    ("text", "notation", "ambiguous"),
    [
        (QWEN, "qwen3-vl", True),
        (IDEOGRAM, "ideogram", False),
        ("A <p>a red cat</p> <bbox>[0.1, 0.2, 0.4, 0.5]</bbox> sleeps.", "consistcompose", False),
        ("a red cat<loc_100><loc_200><loc_400><loc_500>", "florence-2", False),
        ("- a red cat: [100, 200, 400, 500]", "json", True),
    ],
)
def test_a_pasted_plan_of_another_notation_becomes_a_chain(text: str, notation: str, ambiguous: bool) -> None:
    answer = paste(text)
    chain = ReasoningChain.from_json(answer["chain"])
    (region,) = chain.regions
    box = region.box
    assert region.phrase == "a red cat"
    assert [box.x1, box.y1, box.x2, box.y2] == pytest.approx(BOX, abs=1)
    assert (answer["notation"], answer["ambiguous"]) == (notation, ambiguous)
    assert bool(answer["notes"]) == ambiguous, "what was assumed is said"
    assert chain.prompt


def test_the_notes_on_a_pasted_plan_are_in_each_language() -> None:
    for note in paste(QWEN)["notes"]:
        assert set(note) == {"en", "zh"}
        assert "bbox_2d" in note["zh"]
        assert note["zh"] != note["en"]


def test_another_order_of_the_numbers_can_be_chosen() -> None:
    answer = paste(QWEN, notation="ideogram")
    assert answer["chain"]["regions"][0]["box"] == [200, 100, 500, 400]
    assert not answer["ambiguous"]


def test_of_boxes_in_pixels_the_size_of_the_picture_is_asked_for() -> None:
    text = json.dumps([{"x": 1200, "y": 0, "width": 600, "height": 800, "label": "a cat"}])
    answer = paste(text)
    assert answer["size"] is True
    assert "pixels" in answer["error"]["en"]
    read = paste(text, notation="auto", width=2000, height=1000)
    assert read["chain"]["regions"][0]["box"] == [600, 0, 900, 800]


@pytest.mark.parametrize(
    "text", ["a cat (1,2),(300,400) sleeps", "a cat", "[100, 200, 400, 500]", "A poster [SALE] of 50%", ""]
)
def test_prose_and_bare_numbers_stay_what_they_were(text: str) -> None:
    assert paste(text) == {"prose": True}


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"[" * 100_000,
        b"null",
        b'{"text": 7, "task": "generate", "prompt": ""}',
        b'{"text": "a [1] b", "task": "paint", "prompt": ""}',
        json.dumps({"text": QWEN, "task": "generate", "prompt": "", "notation": "x"}).encode(),
        json.dumps({"text": QWEN, "task": "paint", "prompt": ""}).encode(),
        json.dumps({"text": QWEN, "task": "generate", "prompt": "", "width": "a", "height": {}}).encode(),
        json.dumps({"text": '{"a": "b"}', "task": "generate", "prompt": ""}).encode(),
        b" " * 2_000_000,
    ],
    ids=range(10),
)
def test_what_cannot_be_read_is_answered_with_a_sentence(question: bytes) -> None:
    answer = pasted_plan(question)
    assert answer.get("prose") or answer["error"]["en"].strip()
    assert "chain" not in answer


@pytest.mark.parametrize(
    ("text", "notation"),
    [
        ('{"a": "b"}', "auto"),
        ("[" * 500 + "1, 2, 3, 4", "auto"),
        (json.dumps([{"bbox_2d": BOX, "label": "x" * 30_000}]), "auto"),
        (" [1] " * 80_000, "auto"),
        (" [1] " * 400_000, "auto"),
        ("a cat (1, 2)", "florence-2"),
        ("canvas.nothing(1, 2)", "omost"),
        ("<think>A cat at [100, 200, 400, 500]", "json"),
    ],
)
def test_why_a_pasted_plan_cannot_be_read_is_said_in_each_language(text: str, notation: str) -> None:
    error = paste(text, notation=notation)["error"]
    assert set(error) == {"en", "zh"}
    assert re.search("[\u4e00-\u9fff]", error["zh"])
