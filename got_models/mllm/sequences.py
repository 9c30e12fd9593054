"""A chain as a training sequence for the MLLM: token ids, and which of them carry a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..chain.chain import ReasoningChain
from .prompts import END_OF_TURN, TokenIds, conversation, user_turn

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
    turn = conversation(tokenizer, chain.task, chain.prompt, visual_tokens)
    return _sequence(tokenizer, turn, chain.mllm_text, ids.image_start, image_tokens)


def answer_sequence(
    tokenizer: PreTrainedTokenizerBase, words: str, answer: str, visual_tokens: int
) -> tuple[Tensor, Tensor]:
    """A question's token ids [length] (picture and words, answer, <|im_end|>) and labels [length].

    The answer and the <|im_end|> after it are labelled; everything else is `IGNORED`.
    """
    end: int = tokenizer.get_vocab()[END_OF_TURN]
    return _sequence(tokenizer, user_turn(tokenizer, words, visual_tokens), answer, end, ())


def _sequence(
    tokenizer: PreTrainedTokenizerBase, turn: str, answer: str, end: int, tail: Sequence[int]
) -> tuple[Tensor, Tensor]:
    prompt = tokenizer(turn, add_special_tokens=False)["input_ids"]
    written = [*tokenizer(answer, add_special_tokens=False)["input_ids"], end]
    return (
        torch.tensor([*prompt, *written, *tail]),
        torch.tensor([IGNORED] * len(prompt) + written + [IGNORED] * len(tail)),
    )
