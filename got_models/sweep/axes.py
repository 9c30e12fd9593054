"""The settings that a grid varies: a name and its values, such as ``spatial=0,2,4``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..diffusion.settings import GuidanceScales, SamplingSettings
from ..errors import GoTError, short_repr

SCALES = ("semantic", "spatial", "reference")
WHOLE = ("steps", "seed")
ADAPTER = "adapter"
"""The strength of an adapter in pictures: its changes to the UNet."""
NAMES = (*SCALES, *WHOLE, ADAPTER)
MOST_VALUES = 12
MAX_DIGITS = 40
LARGEST_SCALE, LARGEST_STEPS, LARGEST_SEED, LARGEST_STRENGTH = 100.0, 1000, 2**63 - 1, 10.0


@dataclass(frozen=True)
class Axis:
    """A setting and the values that it takes, one for each column or row of a grid."""

    name: str
    values: tuple[float, ...]

    @property
    def labels(self) -> list[str]:
        """What stands beside each column or row."""
        return [f"{self.name} {value if self.name in WHOLE else format(value, 'g')}" for value in self.values]

    def applied(self, number: int, settings: SamplingSettings) -> SamplingSettings:
        """The settings with the value of this number; their scales must be set.

        An adapter's strength is no such setting: they stay as they are.
        """
        value = self.values[number]
        if self.name == ADAPTER:
            return settings
        if self.name == "steps":
            return replace(settings, steps=int(value), speed=None)  # which would set the steps
        if self.name == "seed":
            return replace(settings, seed=int(value))
        scales: GuidanceScales | None = settings.scales
        if scales is None:
            raise GoTError("A grid over scales needs scales to start from; the settings name none.")
        return replace(settings, scales=replace(scales, **{self.name: value}))


def read_axis(name: str, values: str) -> Axis:
    """An axis from text: numbers, separated by commas or spaces.

    Raises:
        GoTError: an unknown name; no value, too many, or one that the setting cannot take.
    """
    if name not in NAMES:
        raise GoTError(f"A grid varies one of {', '.join(NAMES)}; got {short_repr(name)}.")
    words = values.replace(",", " ").replace("\uff0c", " ").split()
    if not 1 <= len(words) <= MOST_VALUES:
        raise GoTError(
            f"The grid takes 1 to {MOST_VALUES} values of {name}, such as 0, 2, 4; got {len(words)}."
        )
    return Axis(name, tuple(_number(name, word) for word in words))


def _number(name: str, word: str) -> float:
    """The value, in the range of its setting."""
    whole = name in WHOLE
    try:  # a large seed does not fit into a float
        value = int(word) if whole and word.isdecimal() and len(word) < MAX_DIGITS else float(word)
    except ValueError:
        value = math.nan
    low, high = {
        "steps": (1, LARGEST_STEPS),
        "seed": (0, LARGEST_SEED),
        ADAPTER: (-LARGEST_STRENGTH, LARGEST_STRENGTH),
    }.get(name, (-LARGEST_SCALE, LARGEST_SCALE))
    if not (low <= value <= high and not (whole and value % 1)):
        kind = "a whole number" if whole else "a number"
        raise GoTError(f"A value of {name} is {kind} from {low:g} to {high:g}; got {short_repr(word)}.")
    return int(value) if whole else value
