"""Writing a chain: the MLLM goes on with a conversation, token by token, until it ends the chain itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..chain.chain import Region
from ..errors import GoTError, Interrupted, short_repr
from ..finite import check_finite
from .constrained_decoding import LockedRegions
from .decoding import Decoding
from .kv_cache import Context, PrefixCache

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HALF_CHARACTER = "\ufffd"  # how a tokenizer decodes a character whose other tokens are still to come

TURNS_PER_TOKEN = 4
"""Turns for each token that a chain may have, before a chain with locked regions is brought to its end.

A chain without them takes one turn for each token. With them, what has been taken back is written again: of
200 chains of random captions, greedy and wildly sampled, none took more than 1.3 turns for each token.
"""


class Continuation:
    """A conversation that the MLLM continues. Tokens are those of the chain alone."""

    def __init__(
        self,
        mllm: Any,
        cache: PrefixCache,
        context: Context,
        should_stop: Callable[[], bool] | None,
    ) -> None:
        self.mllm = mllm
        self.cache = cache
        self.context = context
        self.should_stop = should_stop
        self.has_read = False

    def stop_if_asked(self) -> None:
        """Raises Interrupted if `should_stop` says so."""
        if self.should_stop is not None and self.should_stop():
            raise Interrupted("Writing the reasoning chain was interrupted.")

    def next_token(self, tokens: list[int], decoding: Decoding, forbidden: Collection[int]) -> int:
        """What the MLLM writes after tokens."""
        ids = [*self.context.tokens, *tokens]
        hidden = self._read(ids)
        token_ids = torch.tensor([ids], device=hidden.device)
        return decoding.choose(token_ids, self._logits(hidden[:, -1]), forbidden)

    def regret(self, tokens: list[int], following: list[int]) -> float:
        """By how much the likeliest tokens beat `following` in their places: see `locks.Regret`."""
        scores = self._scores(tokens, following)
        chosen = scores[torch.arange(len(following)), following]
        return float((scores.amax(dim=-1) - chosen).sum())

    def least_certain(self, tokens: list[int], start: int, refused: dict[int, set[int]]) -> int:
        """The place of tokens, from `start` on, where another token not refused would come closest."""
        following = tokens[start:]
        scores = self._scores(tokens[:start], following)
        chosen = scores[torch.arange(len(following)), following]
        for place, token in enumerate(following):
            scores[place, [token, *refused.get(start + place, ())]] = -torch.inf
        return start + int((scores.amax(dim=-1) - chosen).argmax())

    def _scores(self, tokens: list[int], following: list[int]) -> Tensor:
        """Logarithms of the probabilities [following, vocabulary] in the places of `following`."""
        self.stop_if_asked()
        ids = [*self.context.tokens, *tokens, *following]
        hidden = self._read(ids, last=len(following) + 1)
        return self._logits(hidden[0, :-1]).float().log_softmax(dim=-1)

    def _logits(self, hidden: Tensor) -> Tensor:
        """
        Raises:
            GoTError: they are not finite, so that no token is likelier than another.
        """
        logits: Tensor = self.mllm.lm_head(hidden)
        check_finite(logits, "What the language model gives for the next token", self.mllm)
        return logits

    def _read(self, ids: list[int], last: int = 1) -> Tensor:
        """Hidden states at the last tokens; the first time in blocks, so that nothing before it matters."""
        hidden = self.cache.read(ids, self.context.pictures, last, going_on=self.has_read)
        self.has_read = True
        return hidden


@dataclass(frozen=True)
class Written:
    """What the MLLM has written: text and tokens, without the token that ended it; and that token."""

    text: str
    tokens: list[int]
    end: int


class Writing:
    """One chain that is being written.

    Args:
        continuation: what the chain follows.
        decoding: how each token is chosen.
        locks: the regions to hold.
        box_start: the token that opens a box.
        stops: the tokens that end a chain; the first of them also where it has no more room.
        length: most tokens.
        on_text: receives each new piece of text.
    """

    def __init__(
        self,
        continuation: Continuation,
        tokenizer: PreTrainedTokenizerBase,
        decoding: Decoding,
        locks: LockedRegions,
        box_start: int,
        stops: Sequence[int],
        length: int,
        on_text: Callable[[str], None] | None,
    ) -> None:
        self.continuation = continuation
        self.tokenizer = tokenizer
        self.decoding = decoding
        self.locks = locks
        self.box_start = box_start
        self.stops = stops
        self.length = length
        self.stream = _Stream(on_text)
        self.refused: dict[int, set[int]] = {}  # place in the chain -> tokens that may not stand there

    def run(self) -> Written:
        """Write until the MLLM ends the chain, or until there is no more room.

        Raises:
            GoTError: a locked region that cannot be placed.
            Interrupted: whoever asked for the chain wants it no more.
        """
        turns = TURNS_PER_TOKEN * self.length
        written: list[int] = []
        text = ""
        missing = self.locks.missing(text)
        for turn in range(turns + len(missing) + 1):  # in the last ones nothing but locked regions is put in
            token = self.stops[0]
            if turn < turns and len(written) + self.locks.cost(missing) < self.length:
                refused = self.refused.get(len(written), ())
                token = self.continuation.next_token(written, self.decoding, refused)
            self.continuation.stop_if_asked()
            if token in self.stops and not missing:
                text = self.locks.marked(self._decode(written))
                self.stream.show(text, finished=True)
                return Written(text, written, token)
            written = self._go_on(written, token, missing)
            if self.locks or self.stream.on_text is not None:
                text = self._decode(written)
                self.stream.show(self.locks.certain(written) if self.locks else text)
                missing = self.locks.missing(text)
        raise _unplaced(missing)

    def _go_on(self, written: list[int], token: int, missing: Sequence[Region]) -> list[int]:
        """What is written after the MLLM has chosen a token, of which the locked regions may make another."""
        locks, regret = self.locks, self.continuation.regret
        if token in self.stops:
            written = locks.put_in(written, regret)
            still = locks.missing(self._decode(written))
            if all(region in still for region in missing):
                raise _unplaced(still)
        elif token == self.box_start and missing:
            written = locks.open_box(written, token, regret)
        else:
            written = [*written, token]
        if locks and locks.refuses(self._decode(written)):
            start = len(locks.without_box(written))
            place = self.continuation.least_certain(written, start, self.refused)
            self.refused.setdefault(place, set()).add(written[place])
            written = written[:place]
        return written

    def _decode(self, tokens: list[int]) -> str:
        return str(self.tokenizer.decode(tokens, clean_up_tokenization_spaces=False))


def _unplaced(regions: Sequence[Region]) -> GoTError:
    phrases = ", ".join(short_repr(region.phrase) for region in regions)
    return GoTError(
        f"The plan could not be made to hold what is locked: {phrases}. The model reads other words there. "
        "Rename it in plain words, unlock some boxes, or try another seed."
    )


class _Stream:
    """Passes on what is new in a growing text, in whole characters."""

    def __init__(self, on_text: Callable[[str], None] | None) -> None:
        self.on_text = on_text
        self.shown = 0

    def show(self, text: str, finished: bool = False) -> None:
        if self.on_text is None or len(text) <= self.shown:
            return
        if finished or not text.endswith(HALF_CHARACTER):
            self.on_text(text[self.shown :])
            self.shown = len(text)
