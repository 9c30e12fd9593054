"""Generating a chain: the MLLM continues a conversation, token by token, until it ends the chain."""

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
from .detokenizing import Detokenizer, TextStream
from .speculative_decoding import DraftedPasses

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TURNS_PER_TOKEN = 4
"""Iterations per token of the longest chain, after which a chain with locked regions is forced to end.

Without them a chain takes one iteration per token. With them, tokens that backtracking discards are written
again: of 200 chains of random captions, greedy and at high temperature, none took more than 1.3 per token.
"""


class Continuation:
    """A conversation that the MLLM continues. All `tokens` are those of the chain alone."""

    def __init__(self, mllm: Any, passes: DraftedPasses, should_stop: Callable[[], bool] | None) -> None:
        self.mllm = mllm
        self.passes = passes
        self.should_stop = should_stop

    def stop_if_asked(self) -> None:
        """Raises Interrupted if `should_stop` returns true."""
        if self.should_stop is not None and self.should_stop():
            raise Interrupted("Writing the reasoning chain was interrupted.")

    def next_token(self, tokens: list[int], decoding: Decoding, forbidden: Collection[int]) -> int:
        """The token that the MLLM chooses after tokens."""
        hidden = self.passes.states(tokens)
        token_ids = torch.tensor([[*self.passes.context.tokens, *tokens]], device=hidden.device)
        return decoding.choose(token_ids, self._logits(hidden), forbidden)

    def regret(self, tokens: list[int], following: list[int]) -> float:
        """By how much the most likely tokens beat `following`: see `constrained_decoding.Regret`."""
        scores = self._scores(tokens, following)
        chosen = scores[torch.arange(len(following)), following]
        return float((scores.amax(dim=-1) - chosen).sum())

    def least_certain(self, tokens: list[int], start: int, refused: dict[int, set[int]]) -> int:
        """Where, in tokens from `start` on, a token not refused comes closest to the one chosen."""
        following = tokens[start:]
        scores = self._scores(tokens[:start], following)
        chosen = scores[torch.arange(len(following)), following]
        for place, token in enumerate(following):
            scores[place, [token, *refused.get(start + place, ())]] = -torch.inf
        return start + int((scores.amax(dim=-1) - chosen).argmax())

    def _scores(self, tokens: list[int], following: list[int]) -> Tensor:
        """Log-probabilities [following, vocabulary] at the positions of `following`."""
        self.stop_if_asked()
        hidden = self.passes.states([*tokens, *following[:-1]], last=len(following))
        return self._logits(hidden).float().log_softmax(dim=-1)

    def _logits(self, hidden: Tensor) -> Tensor:
        """
        Raises:
            GoTError: they are not finite, so that no token can be chosen.
        """
        logits: Tensor = self.mllm.lm_head(hidden)
        check_finite(logits, "What the language model gives for the next token", self.mllm)
        return logits


@dataclass(frozen=True)
class Written:
    """The MLLM's output: text and tokens, without the token that ended it; and that token."""

    text: str
    tokens: list[int]
    end: int


class Writing:
    """The generation of one chain.

    Args:
        continuation: the conversation that the chain continues.
        decoding: how each token is chosen.
        locks: the locked regions.
        box_start: the token that opens a box.
        stops: the tokens that end a chain; the first of them is also used when `length` is reached.
        length: the maximum number of tokens.
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
        self.detokenizer = Detokenizer.of(tokenizer)
        self.decoding = decoding
        self.locks = locks
        self.box_start = box_start
        self.stops = stops
        self.length = length
        self.stream = TextStream(on_text)
        self.refused: dict[int, set[int]] = {}  # position in the chain -> tokens excluded there

    def run(self) -> Written:
        """Generate until the MLLM ends the chain or the maximum length is reached.

        Raises:
            GoTError: a locked region cannot be placed.
            Interrupted: the caller asked to stop.
        """
        turns = TURNS_PER_TOKEN * self.length
        written: list[int] = []
        text = ""
        missing = self.locks.missing(text)
        for turn in range(turns + len(missing) + 1):  # the last ones only insert locked regions
            token = self.stops[0]
            if turn < turns and len(written) + self.locks.cost(missing) < self.length:
                refused = self.refused.get(len(written), ())
                token = self.continuation.next_token(written, self.decoding, refused)
            self.continuation.stop_if_asked()
            if token in self.stops and not missing:
                text = self.locks.marked(self.detokenizer.text(written))
                self.stream.show(text, finished=True)
                return Written(text, written, token)
            written = self._continue(written, token, missing)
            if self.locks or self.stream.on_text is not None:
                text = self.detokenizer.text(written)
                self.stream.show(self.locks.certain(written) if self.locks else text)
                missing = self.locks.missing(text)
        raise _unplaced(missing)

    def _continue(self, written: list[int], token: int, missing: Sequence[Region]) -> list[int]:
        """The tokens after the MLLM has chosen one, which a locked region may replace."""
        locks, regret = self.locks, self.continuation.regret
        if token in self.stops:
            written = locks.insert_missing(written, regret)
            still = locks.missing(self.detokenizer.text(written))
            if all(region in still for region in missing):
                raise _unplaced(still)
        elif token == self.box_start and missing:
            written = locks.open_box(written, token, regret)
        else:
            written = [*written, token]
        if locks and locks.refuses(self.detokenizer.text(written)):
            start = len(locks.without_last_box(written))
            place = self.continuation.least_certain(written, start, self.refused)
            self.refused.setdefault(place, set()).add(written[place])
            written = written[:place]
        return written


def _unplaced(regions: Sequence[Region]) -> GoTError:
    phrases = ", ".join(short_repr(region.phrase) for region in regions)
    return GoTError(
        f"The plan could not be made to hold what is locked: {phrases}. The model reads other words there. "
        "Rename it in plain words, unlock some boxes, or try another seed."
    )
