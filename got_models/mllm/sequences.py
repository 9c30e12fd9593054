"""A chain as a training sequence for the MLLM: token ids, and which of them carry a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..chain.chain import ReasoningChain
from .prompts import TokenIds, conversation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""Label of tokens that carry no loss."""


def chain_sequence(
    tokenizer: PreTrainedTokenizerBase,
    ids: TokenIds,
    chain: ReasoningChain,
    visual_tokens: int,
    image_tokens: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """One example's token ids [length] (prompt, chain, <|im_gen_start|>, image tokens) and labels [length].

    The chain and the <|im_gen_start|> after it are labelled; everything else is `IGNORED`.
    """
    text = conversation(tokenizer, chain.task, chain.prompt, visual_tokens)
    prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    answer = [*tokenizer(chain.mllm_text, add_special_tokens=False)["input_ids"], ids.image_start]
    return (
        torch.tensor([*prompt, *answer, *image_tokens]),
        torch.tensor([IGNORED] * len(prompt) + answer + [IGNORED] * len(image_tokens)),
    )
