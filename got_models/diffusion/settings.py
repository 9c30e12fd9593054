"""Settings for drawing a picture."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ..constants import SCHEDULERS, SPEEDS
from ..errors import GoTError, short_repr

FINITE = sys.float_info.max
"""The largest finite number, to compare with: math.isfinite raises for an integer that fits into no float."""


@dataclass(frozen=True)
class GuidanceScales:
    """The strengths a_t, a_s and a_r of paper eq. 1.

    Raises:
        GoTError: a scale that is not a finite number.
    """

    semantic: float
    spatial: float
    reference: float

    def __post_init__(self) -> None:
        for name in ("semantic", "spatial", "reference"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= FINITE:
                raise GoTError(f"The {name} scale must be a finite number, got {short_repr(value)}.")


@dataclass(frozen=True)
class SamplingSettings:
    """How a picture is denoised. None leaves a setting to others and the checkpoint: see `speed.resolved`.

    Args:
        scales: the guidance scales.
        seed: from 0 to 2**64 - 1; the same seed gives the same picture.
        steps: from 1 to the number of training steps of the noise schedule.
        scheduler: one of SCHEDULERS.
        speed: one of SPEEDS, a choice of steps and scheduler.

    Raises:
        GoTError: an invalid value.
    """

    scales: GuidanceScales | None = None
    seed: int = 0
    steps: int | None = None
    scheduler: str | None = None
    speed: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**64:
            raise GoTError(
                f"The seed must be a whole number from 0 to 2**64 - 1, got {short_repr(self.seed)}."
            )
        for name, known in (("scheduler", SCHEDULERS), ("speed", SPEEDS)):
            if getattr(self, name) not in (*known, None):
                raise GoTError(
                    f"The {name} is one of {', '.join(known)}; got {short_repr(getattr(self, name))}."
                )


SAMPLING_DEFAULTS = SamplingSettings()
