"""Choosing the next token from the MLLM's scores."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from ..errors import GoTError

if TYPE_CHECKING:
    from transformers import GenerationConfig

DEFAULT_TOP_K = 50  # transformers' default, where a generation config that samples sets none


class Decoding:
    """Greedy decoding or sampling, exactly as transformers' `generate` does it.

    Args:
        config: the MLLM's generation config, of which do_sample, temperature, top_k, top_p and
            repetition_penalty are used.
        temperature: None follows the config, 0 is greedy, and anything above samples.
        top_p: None follows the config. With this or a temperature above 0, top_k is off.
    """

    def __init__(self, config: GenerationConfig, temperature: float | None, top_p: float | None) -> None:
        self.samples = bool(config.do_sample)
        top_k = 0
        if temperature is None and top_p is None:
            temperature, top_p = config.temperature, config.top_p
            top_k = DEFAULT_TOP_K if config.top_k is None else config.top_k
        else:
            self.samples = temperature != 0.0
        steps: list[LogitsProcessor] = []
        if config.repetition_penalty not in (None, 1.0):
            steps.append(RepetitionPenaltyLogitsProcessor(config.repetition_penalty))
        if self.samples:
            if temperature not in (None, 1.0):
                steps.append(TemperatureLogitsWarper(float(temperature)))
            if top_k:
                steps.append(TopKLogitsWarper(top_k))
            if top_p not in (None, 1.0):
                steps.append(TopPLogitsWarper(float(top_p)))
        self.steps: Any = LogitsProcessorList(steps)  # Any: its type hints ask for a LongTensor

    def choose(self, token_ids: Tensor, logits: Tensor, forbidden: Collection[int] = ()) -> int:
        """The token that follows token_ids [1, length], given its scores logits [1, vocabulary].

        Raises:
            GoTError: the scores are not finite, or not after division by the temperature.
        """
        scores = logits.to(torch.float32, copy=True)
        scores[:, list(forbidden)] = -torch.inf
        scores = self.steps(token_ids, scores)
        if not torch.isfinite(scores.amax()):
            raise GoTError(
                "The scores of the next token, divided by the temperature, are too large for a number, or "
                "NaN. Choose a temperature of at least 0.01, or 0 for the likeliest token. If that does not "
                "help, load the model with dtype float32."
            )
        if self.samples:
            return int(torch.multinomial(scores.softmax(dim=-1), 1))
        return int(scores.argmax(dim=-1))


def end_tokens(config: GenerationConfig) -> tuple[int, ...]:
    """The end-of-sequence tokens of transformers' `generate`: one, several or none."""
    ends = config.eos_token_id
    if ends is None:
        return ()
    return (ends,) if isinstance(ends, int) else tuple(ends)
