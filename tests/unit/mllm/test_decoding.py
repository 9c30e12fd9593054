"""A token is chosen by finite scores, or an error says why it cannot be."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import GenerationConfig

from got_models.errors import GoTError
from got_models.mllm.decoding import Decoding

TOKENS = torch.tensor([[1, 2]])


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0, None])
def test_scores_that_are_not_finite_are_refused(temperature: float | None, value: float) -> None:
    decoding = Decoding(GenerationConfig(do_sample=True), temperature, None)
    with pytest.raises(GoTError, match="dtype float32"):
        decoding.choose(TOKENS, torch.tensor([[0.0, value, 1.0]]))


def test_a_temperature_too_small_to_divide_by_is_refused() -> None:
    decoding = Decoding(GenerationConfig(), 1e-38, None)
    with pytest.raises(GoTError, match="Choose a temperature of at least"):
        decoding.choose(TOKENS, torch.tensor([[0.0, 9.0, 30.0]]))


def test_tokens_that_cannot_follow_may_have_minus_infinity() -> None:
    scores = torch.tensor([[-math.inf, 9.0, 30.0]])
    for temperature in (0.0, 0.01):
        assert Decoding(GenerationConfig(), temperature, None).choose(TOKENS, scores, forbidden=[2]) == 1
