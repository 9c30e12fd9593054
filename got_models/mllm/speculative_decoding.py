"""Speculative decoding: one pass of the MLLM reads the next token and, after it, those that may well follow.

Where the MLLM then chooses what was drafted, a pass is saved; where it chooses another token, what was read
after it is read again. The drafts come from the text itself: where its last tokens occur already, in the
prompt, in the chain or in a sample of a box, what follows there. All digits count as one.

What the MLLM chooses is the same token as without drafts, in every dtype: every pass has one shape, `ROWS`
tokens against keys and values padded to whole blocks, so that kernels compute a token in the same order of
operations wherever it stands in a pass, and whatever stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..chain.chain import BOX_END, BOX_START
from .detokenizing import common_length
from .kv_cache import Context, PrefixCache

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROWS = 4
"""Tokens per pass: one to read, and the drafts after it. More cost more, and are rarely all chosen."""

BLOCK = 128
"""Keys and values are padded to a multiple of this many tokens."""

LONGEST_MATCH = 12
"""So many tokens are compared: those of a box up to its third number."""

SAMPLE_BOX = f"a {BOX_START}(111,222),(333,444){BOX_END} (red)"


class Drafts:
    """Guesses how a chain goes on.

    Args:
        context: the tokens of the conversation before the chain.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, context: Sequence[int]) -> None:
        digits: Any = tokenizer.convert_tokens_to_ids(list("0123456789"))
        self._alike: dict[int, int] = dict.fromkeys(digits, digits[0])
        sample = tokenizer(SAMPLE_BOX, add_special_tokens=False)["input_ids"]
        self._before = [*sample, *context]

    def following(self, tokens: Sequence[int]) -> list[int]:
        """At most ROWS - 1 tokens that may follow the tokens of a chain."""
        seen = [*self._before, *tokens]
        alike = [self._alike.get(token, token) for token in seen]
        likeliest, longest = len(seen), 0
        for place in range(len(seen) - 1, 0, -1):
            if alike[place - 1] == alike[-1]:
                length = _common_end(alike[:place], alike)
                if length > longest:
                    likeliest, longest = place, length
        return seen[likeliest : likeliest + ROWS - 1]


class DraftedPasses:
    """The hidden states of a chain that is being written after a context: each token is read once.

    Args:
        cache: reads the context.
    """

    def __init__(self, mllm: Any, cache: PrefixCache, context: Context, drafts: Drafts) -> None:
        self.mllm = mllm
        self.context = context
        self.drafts = drafts
        self._cache_argument = cache.cache_argument
        self._tokens: list[int] = []  # of the chain, with drafts
        self._states = [cache.read(context.tokens, context.pictures)[0, -1]]  # the last before each of them
        self._first_position = cache.next_position(context)
        self._keys_and_values = _PaddedCache(cache.keys_and_values())

    def states(self, tokens: list[int], last: int = 1) -> Tensor:
        """The hidden states [last, hidden] at the end of a chain, the one after all its tokens last."""
        known = common_length(self._tokens, tokens)
        if known < len(tokens):
            del self._tokens[known:], self._states[known + 1 :]
            ahead = [*tokens, *self.drafts.following(tokens)]
            while len(self._tokens) < len(tokens):
                self._pass(ahead[len(self._tokens) :][:ROWS])
        return torch.stack(self._states[len(tokens) + 1 - last : len(tokens) + 1])

    def _pass(self, tokens: list[int]) -> None:
        """Reads at most ROWS more tokens."""
        place, device = len(self.context.tokens) + len(self._tokens), self.mllm.device
        rows = torch.tensor([[*tokens, *[tokens[-1]] * (ROWS - len(tokens))]], device=device)
        steps = torch.arange(ROWS, device=device)
        self._keys_and_values.place = place
        hidden: Tensor = self.mllm.model(
            inputs_embeds=self.mllm.get_input_embeddings()(rows),
            position_ids=(self._first_position + len(self._tokens) + steps).expand(3, 1, -1),
            attention_mask=self._keys_and_values.mask(place + steps, self.mllm.dtype),
            use_cache=True,
            **{self._cache_argument: self._keys_and_values},
        ).last_hidden_state[0]
        fitting = min(len(tokens), BLOCK - place % BLOCK)  # what is beyond has its own, longer shape
        self._tokens += tokens[:fitting]
        self._states += hidden[:fitting]


def _common_end(first: list[int], second: list[int]) -> int:
    """The length of the common end of two lists, at most LONGEST_MATCH."""
    length = 0
    for one, other in zip(first[: -LONGEST_MATCH - 1 : -1], second[: -LONGEST_MATCH - 1 : -1], strict=False):
        if one != other:
            break
        length += 1
    return length


class _PaddedCache:
    """Keys and values as transformers' attention asks for them: up to the end of the block of `place`."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
        self.layers = list(layers)
        self.place = 0  # of the first token of the next pass

    @property
    def length(self) -> int:
        """The number of tokens with padding."""
        return (self.place // BLOCK + 1) * BLOCK

    def update(
        self, keys: Tensor, values: Tensor, layer: int, *unused: Any, **also_unused: Any
    ) -> tuple[Tensor, Tensor]:
        """Those of the pass [1, heads, ROWS, width] are put in their place -> all, padded.

        What some versions of transformers add is for other kinds of caches.
        """
        held_keys, held_values = (_padded(part, self.length) for part in self.layers[layer])
        fitting = slice(self.place, self.place + ROWS)
        held_keys[:, :, fitting] = keys[:, :, : self.length - self.place]
        held_values[:, :, fitting] = values[:, :, : self.length - self.place]
        self.layers[layer] = held_keys, held_values
        return held_keys, held_values

    def get_seq_length(self, layer: int = 0) -> int:
        """The number of tokens before the pass."""
        return self.place

    def mask(self, places: Tensor, dtype: torch.dtype) -> Tensor:
        """What is added to the scores of attention, [1, 1, ROWS, length]: a token sees none after it."""
        later = torch.arange(self.length, device=places.device) > places[:, None]
        return torch.zeros_like(later, dtype=dtype).masked_fill(later, -torch.inf)[None, None]


def _padded(part: Tensor, length: int) -> Tensor:
    """Keys or values [1, heads, any, width] -> the same with `length` tokens, a copy if there were others."""
    missing = length - part.shape[2]
    if missing == 0:
        return part
    return torch.nn.functional.pad(part[:, :, :length], (0, 0, 0, max(missing, 0)))
