"""Settings for generating a chain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..chain.chain import Region
from ..errors import GoTError


@dataclass(frozen=True)
class GenerationSettings:
    """How the MLLM generates a reasoning chain. None leaves a setting to the checkpoint.

    Args:
        max_new_tokens: the maximum length of a chain, in tokens; at least 1.
        temperature: 0 decodes greedily, anything above samples.
        top_p: in (0, 1]; sample from the most likely tokens that together have this probability.
        seed: makes sampling reproducible; None uses PyTorch's global random state.
        locked: regions that the chain must hold, each phrase with its box exactly once.

    Raises:
        GoTError: a value out of range.
    """

    max_new_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    locked: Sequence[Region] = ()

    def __post_init__(self) -> None:
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise GoTError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}.")
        if self.temperature is not None and not 0.0 <= self.temperature < math.inf:
            raise GoTError(f"The temperature must be a finite number of at least 0, got {self.temperature}.")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise GoTError(f"top_p must be greater than 0 and at most 1, got {self.top_p}.")


GENERATION_DEFAULTS = GenerationSettings()
