"""What is shown of values from outside: always encodable, always short, and cheap to make."""

from __future__ import annotations

import time
from typing import Any

import pytest

from got_models.chain.chain import ChainError
from got_models.errors import GoTError, printable, short_repr


@pytest.mark.parametrize("text", ["\ud800", "\udfff.png", "a\x1b[31mred", "\x00", "\x85", "\u2028", "\u202e"])
@pytest.mark.parametrize("error", [GoTError, ChainError])
def test_a_message_can_be_encoded_and_steers_no_terminal(error: type[GoTError], text: str) -> None:
    message = str(error(f"no such file {text}"))
    assert message.encode("utf-8").decode("utf-8").isprintable()
    assert message.startswith("no such file ")


def test_ordinary_text_stays_as_it_is() -> None:
    text = "ein Käfer\t猫 🐈 <|box_start|> é\nzweite Zeile"
    assert printable(text) == text


@pytest.mark.parametrize(
    "value",
    ["x" * 10**7, [[["deep"] * 1000] * 1000] * 1000, {"a": "b" * 10**7}, 10**6000],
    ids=["text", "lists", "mapping", "integer"],
)
def test_a_short_repr_of_anything_is_short(value: Any) -> None:
    began = time.process_time()
    assert len(short_repr(value)) <= 60
    assert time.process_time() - began < 0.5


def test_a_short_repr_does_not_expand_what_is_shared() -> None:
    value: Any = "seed"
    for _ in range(60):  # 10**60 leaves, were they written out
        value = [value] * 10
    assert len(short_repr(value, 80)) <= 80


def test_a_short_value_is_shown_whole() -> None:
    assert short_repr({"a": [1, 2]}) == "{'a': [1, 2]}"


def test_a_message_is_never_longer_than_people_read_and_keeps_its_advice() -> None:
    message = str(GoTError("The file is damaged (" + "\ud800[" * 10**6 + "). Copy it again."))
    assert len(message) < 5000
    assert message.startswith("The file is damaged (")
    assert message.endswith("). Copy it again.")
    list_of_rows = "; ".join(f"line {number}: the row lacks a prompt" for number in range(60))
    assert str(GoTError(list_of_rows)) == list_of_rows
