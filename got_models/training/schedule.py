"""Seeds and learning rates that depend only on the step, so that a resumed run is bit-identical."""

from __future__ import annotations

import math
import zlib


def step_seed(seed: int, stage: str, step: int) -> int:
    """A 32-bit seed for one step of one stage."""
    return zlib.crc32(f"{seed} {stage} {step}".encode())


def learning_rate_share(step: int, steps: int, warmup_steps: int) -> float:
    """Fraction of the peak learning rate: a linear warm-up, then a cosine to zero at ``steps``."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
