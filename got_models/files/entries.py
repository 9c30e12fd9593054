"""Validation of a settings file's entries: types and ranges, as descriptions and as tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import GoTError, short_repr

Config = Mapping[str, Any]
REFUSED = ("quantization_config", "compression_config", "custom_pipelines")
"""Entries that request weights or code of a kind that no checkpoint has."""


@dataclass(frozen=True)
class Kind:
    """A kind of value: its description, and a test for it."""

    words: str
    fits: Callable[[Any], bool]


def whole(low: int, high: int) -> Kind:
    return Kind(
        f"a whole number from {low} to {high}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
    )


def multiple_of(step: int, low: int, high: int) -> Kind:
    inside = whole(low, high)
    return Kind(
        f"a multiple of {step} from {low} to {high}", lambda value: inside.fits(value) and value % step == 0
    )


def number(low: float, high: float) -> Kind:
    return Kind(
        f"a number from {low:g} to {high:g}",
        lambda value: (
            isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        ),
    )


def one_of(*values: str | int | bool | None) -> Kind:
    allowed = [(type(value), value) for value in values]  # True is not 1
    return Kind(
        " or ".join(repr(value) for value in values),
        lambda value: isinstance(value, (str, int, bool, type(None))) and (type(value), value) in allowed,
    )


def list_of(kind: Kind, least: int = 0, most: int = 256) -> Kind:
    return Kind(
        f"a list, each entry {kind.words}" if least != most else f"a list of {least}, each {kind.words}",
        lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(kind.fits, value)),
    )


def either(*kinds: Kind) -> Kind:
    return Kind(
        " or ".join(kind.words for kind in kinds), lambda value: any(kind.fits(value) for kind in kinds)
    )


NOTHING = one_of(None)
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
TEXT = Kind("a text", lambda value: isinstance(value, str))
OBJECT = Kind("an object", lambda value: isinstance(value, dict))


def check_entries(
    file: Path, config: Config, kinds: Mapping[str, Kind], required: Iterable[str] = ()
) -> None:
    """
    Raises:
        GoTError: an entry is missing, of the wrong type or out of range, or requests what no checkpoint has.
    """
    for key in required:
        if key not in config:
            raise GoTError(f"{file} lacks {key!r}, which must be {kinds[key].words}. Copy it again.")
    for key in REFUSED:
        if config.get(key) is not None:
            raise GoTError(f"{file}: {key!r} asks for weights or code of another kind than a checkpoint has.")
    for key, kind in kinds.items():
        if key in config and not kind.fits(config[key]):
            raise GoTError(f"{file}: {key!r} must be {kind.words}, got {short_repr(config[key])}.")
