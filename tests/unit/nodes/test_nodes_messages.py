"""What nodes tell the page while they work: who hears it, and what may be in it."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from got_pack import NODE_CLASS_MAPPINGS
from got_pack.nodes._comfy import feedback
from got_pack.nodes._comfy.folders import offered

WEB = Path(__file__).parents[3] / "web"
Sent = list[tuple[str, dict[str, Any], str | None]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What a server would send that runs a prompt for the client `a page`."""
    messages: Sent = []
    server = SimpleNamespace(
        client_id="a page",
        last_prompt_id="prompt 7",
        send_sync=lambda event, data, sid=None: messages.append((event, data, sid)),
    )
    monkeypatch.setattr(feedback, "inside_comfyui", lambda: True)
    monkeypatch.setitem(sys.modules, "server", SimpleNamespace(PromptServer=SimpleNamespace(instance=server)))
    return messages


def test_the_page_that_has_queued_hears_it_and_for_which_prompt(sent: Sent) -> None:
    feedback.show_text("a <b> & star", "4")
    assert sent == [("got_text", {"node": "4", "text": "a <b> & star", "prompt_id": "prompt 7"}, "a page")]


def test_nobody_hears_of_a_prompt_that_no_page_has_queued(sent: Sent) -> None:
    sys.modules["server"].PromptServer.instance.client_id = None
    feedback.show_text("a star", "4")
    feedback.send("got_training", {"node": "4"})
    assert sent == []


def test_a_node_without_a_name_says_nothing(sent: Sent) -> None:
    feedback.show_text("a star", None)
    assert sent == []


def test_what_cannot_be_encoded_leaves_as_escapes(sent: Sent) -> None:
    feedback.send("got_training", {"run": "\ud800", "curves": {"a\x1b": [["\x00", 1.5]]}, "samples": None})
    ((_, data, _),) = sent
    json.dumps(data, ensure_ascii=False).encode()
    assert data["run"] == "\\ud800"
    assert data["curves"] == {"a\\x1b": [["\\x00", 1.5]]}
    assert data["samples"] is None


def test_names_that_are_markup_or_steer_a_terminal_are_not_offered(caplog: pytest.LogCaptureFixture) -> None:
    names = ["a & b.png", "<img src=q onerror=x>.png", "tab\x07.png", "\ud800.png", "rot 圆.png"]
    assert offered(names) == ["a & b.png", "rot 圆.png"]
    assert "Rename it" in caplog.text


def test_every_node_that_says_something_has_a_place_for_it() -> None:
    page = "".join((WEB / f"got_{place}.js").read_text("utf-8") for place in ("node_text", "plan_view"))
    speaking = [name for name, kind in NODE_CLASS_MAPPINGS.items() if "show_text(" in inspect.getsource(kind)]
    assert speaking
    assert [name for name in speaking if f'"{name}"' not in page] == []
