"""Text while it is written: always what decoding the whole list gives, and never decoded anew as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tokenizers import Tokenizer, decoders, models

from got_models.mllm.detokenizing import Detokenizer, TextStream, common_length


class Counted:
    """The decoder of bytes, one token each, which counts the tokens that it decodes."""

    def __init__(self) -> None:
        self.decoded = 0

    def __call__(self, tokens: Sequence[int]) -> str:
        self.decoded += len(tokens)
        return bytes(tokens).decode("utf-8", errors="replace")


def test_every_token_is_decoded_a_few_times_only() -> None:
    decode = Counted()
    detokenizer = Detokenizer(decode)
    tokens = list("a cat, 一只猫, 👨‍👩‍👧 ".encode() * 20)
    for length in range(len(tokens) + 1):
        assert detokenizer.text(tokens[:length]) == bytes(tokens[:length]).decode(errors="replace")
    assert decode.decoded < 12 * len(tokens)


def test_tokens_that_are_taken_back_are_forgotten() -> None:
    detokenizer = Detokenizer(Counted())
    assert detokenizer.text(b"a red circle") == "a red circle"
    assert detokenizer.text(b"a red square") == "a red square"
    assert detokenizer.text("a 猫".encode()[:-1]) == "a \ufffd"
    assert detokenizer.text("a 猪".encode()) == "a 猪"
    assert detokenizer.text(b"") == ""


def test_bytes_that_are_no_text_stay_what_they_are() -> None:
    garbage = [0xFF, 0x80, 0xE4, 0xB8, 0x41, 0xF0, 0x9F, 0xF0, 0x9F, 0x98, 0x80, 0xC3, 0xC3]
    detokenizer = Detokenizer(Counted())
    for length in range(len(garbage) + 1):
        assert detokenizer.text(garbage[:length]) == bytes(garbage[:length]).decode(errors="replace")


@pytest.mark.parametrize("words", ["a red cat sits", "x"])
def test_a_tokenizer_that_drops_the_first_space_loses_none_in_between(words: str) -> None:
    """As SentencePiece does, which some of ComfyUI's language models have."""
    vocabulary = {f"▁{word}": number for number, word in enumerate(["a", "red", "cat", "sits", "x"])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="▁x"))
    core.decoder = decoders.Metaspace()
    tokens = [vocabulary[f"▁{word}"] for word in words.split()]
    detokenizer = Detokenizer(core.decode)
    for length in range(len(tokens) + 1):
        assert detokenizer.text(tokens[:length]) == core.decode(tokens[:length])
    assert detokenizer.text(tokens) == words


def test_a_stream_waits_for_the_rest_of_a_character() -> None:
    pieces: list[str] = []
    stream, detokenizer = TextStream(pieces.append), Detokenizer(Counted())
    tokens = "a 猫".encode()
    for length in range(len(tokens) + 1):
        stream.show(detokenizer.text(tokens[:length]))
    assert pieces == ["a", " ", "猫"]


def test_what_two_lists_have_in_common() -> None:
    assert common_length([1, 2, 3], [1, 2]) == common_length([1, 2], [1, 2, 3]) == 2
    assert common_length([1, 2, 3], [1, 5, 3]) == 1
    assert common_length([], [1]) == common_length([1], [2]) == 0
