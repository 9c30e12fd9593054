"""The text of tokens while they are written, without decoding all of them anew after each one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HALF_CHARACTER = "\ufffd"  # how a tokenizer decodes an incomplete character


class Detokenizer:
    """Decodes one list of tokens after another, each mostly the last one with a few tokens more or fewer.

    What a list has in common with the last one is not decoded again, as far as its text ends with a whole
    character. The result is always that of decoding the whole list.

    Args:
        decode: gives the text of a list of tokens.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._text = ""
        self._ends = [(0, 0)]  # after so many tokens, the first so many characters are whole

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Detokenizer:
        """For chains: with special tokens, and spaces as they are."""
        return cls(lambda tokens: str(tokenizer.decode(tokens, clean_up_tokenization_spaces=False)))

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""
        tokens = list(tokens)
        shared = common_length(self._tokens, tokens)
        while self._ends[-1][0] > shared:
            self._ends.pop()
        end, length = self._ends[-1]
        # Tokenizers may drop a space at the beginning: so what comes new is decoded with what precedes it.
        start = self._ends[-2][0] if len(self._ends) > 1 else 0
        before = self._decode(tokens[start:end]) if end else ""
        text = self._text[:length] + self._decode(tokens[start:])[len(before) :]
        if len(text) > length and not text.endswith(HALF_CHARACTER):
            self._ends.append((len(tokens), len(text)))
        self._tokens, self._text = tokens, text
        return text


class TextStream:
    """Passes on the new part of a growing text, in whole characters."""

    def __init__(self, on_text: Callable[[str], None] | None) -> None:
        self.on_text = on_text
        self.shown = 0

    def show(self, text: str, finished: bool = False) -> None:
        if self.on_text is None or len(text) <= self.shown:
            return
        if finished or not text.endswith(HALF_CHARACTER):
            self.on_text(text[self.shown :])
            self.shown = len(text)


def common_length(first: list[int], second: list[int]) -> int:
    """The length of the common prefix of two lists."""
    length = min(len(first), len(second))
    if first[:length] == second[:length]:  # as almost always, and faster than one by one
        return length
    return next(place for place in range(length) if first[place] != second[place])
