"""Values that are not finite are refused with what helps against them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from got_models.errors import GoTError
from got_models.finite import check_finite


def damaged() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.bias.data[1] = math.inf
    return layer


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("part", "remedy"),
    [
        (nn.Linear(2, 2), "Choose smaller guidance scales"),
        (nn.Linear(2, 2, dtype=torch.bfloat16), "Load the model with dtype float32"),
        (nn.Linear(2, 2, dtype=torch.float16), "Load the model with dtype float32"),
        (nn.Linear(2, 2).to(torch.float8_e4m3fn), "Load the model with dtype float32"),
        (damaged(), "So does the weight bias: copy or import the checkpoint again"),
        (damaged().half(), "So does the weight bias"),
    ],
)
def test_the_remedy_follows_from_the_weights(value: float, part: nn.Module, remedy: str) -> None:
    check_finite(torch.zeros(3), "A sum", part)
    with pytest.raises(GoTError, match=f"^A sum holds NaN or infinite values and cannot be used. {remedy}"):
        check_finite(torch.tensor([0.0, value]), "A sum", part)
