"""Replies of language models: all that they say arrives, or a message says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from got_models.chain.notations import plan_to_chain, read_plan
from got_models.errors import GoTError

FILES = [Path(__file__).with_name(name) for name in ("replies.txt", "replies_second.txt")]
FOUND = [
    found
    for file in FILES
    for found in re.findall(
        r"^=== ([^\n]*)\n(.*?)^---\n(.*?)(?=^===|\Z)",
        file.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
]
REPLIES = {name: (reply.removesuffix("\n"), expected) for name, reply, expected in FOUND}


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_read_or_a_message_says_why_not(name: str) -> None:
    text, expected = REPLIES[name]
    lines = expected.splitlines()
    said = {
        key: rest
        for key, _, rest in (line.partition(": ") for line in lines)
        if key in ("note", "error", "size")
    }
    things = [line for line in lines if line.partition(": ")[0] not in said]
    size = tuple(map(int, said["size"].split())) if "size" in said else None
    try:
        chain = plan_to_chain(read_plan(text, size=size), "generate")
    except GoTError as error:
        assert said.get("error", "no error") in str(error)
        return
    assert "error" not in said
    boxes = [f"{r.phrase} {r.box.x1} {r.box.y1} {r.box.x2} {r.box.y2}" for r in chain.regions]
    assert boxes == [thing for thing in things if not thing.endswith(" -")]
    for words in (thing.removesuffix(" -") for thing in things if thing.endswith(" -")):
        assert words in chain.text
    warnings = "\n".join(chain.warnings)
    assert said.get("note", "") in warnings
    assert not re.search(r"Not read \((?:x|y|w|h|cx|cy|width|height)[12]?:", warnings)


def test_there_are_many_replies_and_none_hides_another() -> None:
    assert len(REPLIES) == len(FOUND) >= 160
