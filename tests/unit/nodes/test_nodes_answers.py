"""What the page is told about checkpoints and plans, whatever it asks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.nodes._answers import notes_on, own_settings
from got_pack.nodes._comfy.folders import BUNDLED_NAME

CHAIN = ReasoningChain.parse("There is a cat (1,2),(300,400).", "generate", "a cat").to_json()


def ask(**question: Any) -> list[dict[str, str]]:
    return notes_on(json.dumps(question).encode())


def test_a_checkpoints_own_settings_are_told_by_its_name() -> None:
    generate = own_settings(BUNDLED_NAME)["generate"]
    assert (generate["steps"], generate["semantic"], generate["max_new_tokens"]) == (50, 3.0, 384)
    assert generate["temperature"] == 0


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
