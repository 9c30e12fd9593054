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
from .cuda_graphs import Replayed
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
        self._keys_and_values = _PaddedCache(cache.keys_and_values())
        self._shift = cache.next_position(context) - len(context.tokens)  # from places to positions
        device = mllm.device
        self._rows = torch.zeros(1, ROWS, dtype=torch.long, device=device)
        self._places = torch.zeros(ROWS, dtype=torch.long, device=device)
        self._read = Replayed(device)

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
        place = len(self.context.tokens) + len(self._tokens)
        if self._keys_and_values.fit(place):
            self._read.forget()
        self._rows.copy_(torch.tensor([[*tokens, *[tokens[-1]] * (ROWS - len(tokens))]]))
        self._places.copy_(torch.arange(place, place + ROWS))
        hidden = self._read(self._forward)
        fitting = min(len(tokens), BLOCK - place % BLOCK)  # what is beyond has its own, longer shape
        self._tokens += tokens[:fitting]
        self._states += hidden[:fitting]

    def _forward(self) -> Tensor:
        """The hidden states [ROWS, hidden] of the rows at their places, all at fixed addresses."""
        self._keys_and_values.places = self._places
        hidden: Tensor = self.mllm.model(
            inputs_embeds=self.mllm.get_input_embeddings()(self._rows),
            position_ids=(self._places + self._shift).expand(3, 1, -1),
            attention_mask=self._keys_and_values.mask(self._places, self.mllm.dtype),
            use_cache=True,
            **{self._cache_argument: self._keys_and_values},
        ).last_hidden_state[0]
        return hidden


def _common_end(first: list[int], second: list[int]) -> int:
    """The length of the common end of two lists, at most LONGEST_MATCH."""
    length = 0
    for one, other in zip(first[: -LONGEST_MATCH - 1 : -1], second[: -LONGEST_MATCH - 1 : -1], strict=False):
        if one != other:
            break
        length += 1
    return length


class _PaddedCache:
    """Keys and values as transformers' attention asks for them, padded to whole blocks.

    Attributes:
        length: the number of tokens with padding.
        places: of the pass's tokens [ROWS], set before it.
    """

    places: Tensor

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
        self.layers = list(layers)
        self.length = 0

    def fit(self, place: int) -> bool:
        """Make room up to the end of the block of a pass's first token; whether that took other tensors."""
        length = (place // BLOCK + 1) * BLOCK
        if length == self.length:
            return False
        known = max(self.length, place)
        # What a pass reads beyond the block gets places behind it, which nothing looks at.
        self.layers = [
            (_padded(keys[:, :, :known], length + ROWS), _padded(values[:, :, :known], length + ROWS))
            for keys, values in self.layers
        ]
        self.length = length
        return True

    def update(
        self, keys: Tensor, values: Tensor, layer: int, *unused: Any, **also_unused: Any
    ) -> tuple[Tensor, Tensor]:
        """Those of the pass [1, heads, ROWS, width] are put in their places -> all, padded.

        What some versions of transformers add is for other kinds of caches.
        """
        held_keys, held_values = self.layers[layer]
        held_keys.index_copy_(2, self.places, keys)
        held_values.index_copy_(2, self.places, values)
        return held_keys[:, :, : self.length], held_values[:, :, : self.length]

    def get_seq_length(self, layer: int = 0) -> int:
        """A number of tokens; nothing that is asked for depends on it, as positions and mask are given."""
        return self.length

    def mask(self, places: Tensor, dtype: torch.dtype) -> Tensor:
        """What is added to the scores of attention, [1, 1, ROWS, length]: a token sees none after it."""
        later = torch.arange(self.length, device=places.device) > places[:, None]
        return torch.zeros_like(later, dtype=dtype).masked_fill(later, -torch.inf)[None, None]


def _padded(part: Tensor, length: int) -> Tensor:
    """Keys or values [1, heads, any, width] -> a copy with `length` tokens."""
    return torch.nn.functional.pad(part[:, :, :length], (0, 0, 0, max(length - part.shape[2], 0)))
