"""Four numbers that form a box: their order and their unit."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import GoTError, short_repr
from ...notes import Note
from ..region import GRID
from .plan import Gathering

Size = tuple[int, int]
FRACTIONS, THOUSANDTHS, PIXELS, PERCENT = "fractions", "thousandths", "pixels", "percent"
X_FIRST, Y_FIRST, WIDTH_HEIGHT = "x1, y1, x2, y2", "y1, x1, y2, x2", "x, y, width, height"
_PARTS = {FRACTIONS: 1, THOUSANDTHS: GRID, PERCENT: 100}
_LARGEST = 1e15  # an integer of any size may come from outside, and not all fit into a float
_OVERSHOOT = 1.1  # of the largest number that the unit has: so much may be a slip of the model
_NUMBER = re.compile(
    r"(?<![\w.])-?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(?:[eE][-+]?[0-9]{1,3})?\s?(%?)"
)
_EDGES = (
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("x0", "y0", "x1", "y1"),
    ("left", "top", "right", "bottom"),
)
_SIDES = (
    ("x", "y", "width", "height"),
    ("x", "y", "w", "h"),
    ("left", "top", "width", "height"),
    ("cx", "cy", "w", "h"),
    ("cx", "cy", "width", "height"),
)
_PLACES_AND_SIZES = (("position", "size"), ("location", "size"))
_CENTERS = ("center", "centre")
_PAIRS = (
    ("top_left", "bottom_right", X_FIRST),
    ("topleft", "bottomright", X_FIRST),
    ("min", "max", X_FIRST),
    ("center", "size", WIDTH_HEIGHT),
    ("centre", "size", WIDTH_HEIGHT),
    ("position", "size", WIDTH_HEIGHT),
    ("upper_left", "lower_right", X_FIRST),
    ("tl", "br", X_FIRST),
    ("from", "to", X_FIRST),
    ("start", "end", X_FIRST),
    ("p1", "p2", X_FIRST),
)


@dataclass(frozen=True)
class Four:
    """Four numbers as written, and their order, if their names define it."""

    values: tuple[float, float, float, float]
    order: str | None = None
    percent: bool = False


@dataclass(frozen=True)
class Reading:
    """How to interpret four numbers. None: to be inferred, with a note on what was assumed."""

    order: str | None = None
    unit: str | None = None


class SizeNeededError(GoTError):
    """The boxes are in pixels, and the size of their picture is not known."""


def check_size(size: Size | None) -> None:
    """Raises GoTError unless a picture's (width, height) are positive integers."""
    if size is not None and not all(type(side) is int and 1 <= side <= 1_000_000 for side in size):
        raise GoTError(f"A picture's size is its width and height in pixels, got {short_repr(size)}.")


def four_numbers(value: Any) -> Four | None:
    """The box in a value, or None: a list, two corners, a text with four numbers, or named numbers."""
    if isinstance(value, dict):
        return _named_numbers(value)
    if isinstance(value, str):
        found = list(_NUMBER.finditer(value[:200]))
        if len(found) != 4:
            return None
        values = [float(match[0].rstrip("% \n")) for match in found]
        return _four(values, None, all(match[1] for match in found))
    if isinstance(value, (list, tuple)) and all(_is_pair(corner) for corner in value):
        if len(value) == 2:
            value = [*value[0], *value[1]]
        elif len(value) > 2:
            return _around(value)
    if isinstance(value, (list, tuple)) and len(value) == 5 and _is_score(value[4]):
        value = value[:4]
    if isinstance(value, (list, tuple)) and len(value) == 4:
        return _numbers(value, None)
    return None


def _is_pair(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2


def _is_score(value: Any) -> bool:
    """Whether a fifth number is how sure a detector is, as in [x1, y1, x2, y2, 0.91]."""
    return isinstance(value, float) and 0 < value < 1


def _around(points: Sequence[Any]) -> Four | None:
    """The box around the points of an outline."""
    pairs = [_numbers([*point, 0, 0], None) for point in points]
    if any(pair is None for pair in pairs):
        return None
    xs, ys = ([pair.values[axis] for pair in pairs if pair] for axis in (0, 1))
    return Four((min(xs), min(ys), max(xs), max(ys)), X_FIRST)


def _point(value: Any) -> Any:
    """A corner as a pair, also where it is an object with x and y."""
    if isinstance(value, dict):
        lower = {key.lower(): entry for key, entry in value.items()}
        return [lower["x"], lower["y"]] if lower.keys() == {"x", "y"} else value
    return value


def _named_numbers(value: dict[str, Any]) -> Four | None:
    entries = {key.lower().strip(): entry for key, entry in value.items()}
    for place, extent in _PLACES_AND_SIZES:  # {"position": {"x", "y"}, "size": {"width", "height"}}
        if isinstance(entries.get(place), dict) and isinstance(entries.get(extent), dict):
            entries = {**entries, **entries[place], **entries[extent]}
    for first, second, order in _PAIRS:
        one, other = _point(entries.get(first)), _point(entries.get(second))
        if _is_pair(one) and _is_pair(other):
            numbers = _numbers([*one, *other], order)
            return _from_center(numbers) if first in _CENTERS else numbers
    for names in _EDGES:
        if all(name in entries for name in names):
            return _numbers([entries[name] for name in names], X_FIRST)
    for names in _SIDES:
        if all(name in entries for name in names):
            numbers = _numbers([entries[name] for name in names], WIDTH_HEIGHT)
            return _from_center(numbers) if names[0].startswith("c") else numbers
    return None


def _from_center(numbers: Four | None) -> Four | None:
    """Width and height from the corner on, where they were given around the centre."""
    if numbers is None:
        return None
    x, y, width, height = numbers.values
    return replace(numbers, values=(x - width / 2, y - height / 2, width, height))


def _numbers(entries: Sequence[Any], order: str | None) -> Four | None:
    values = []
    percents = 0
    for entry in entries:
        if isinstance(entry, str) and (match := _NUMBER.fullmatch(_plain(entry))):
            percents += bool(match[1])
            values.append(float(match[0].rstrip("% ")))
        elif isinstance(entry, (int, float)) and not isinstance(entry, bool):
            values.append(float(entry) if abs(entry) <= _LARGEST else math.inf)
        else:
            return None
    return _four(values, order, percents == 4)


def _plain(number: str) -> str:
    """A number without its unit, and with a point where it has a decimal comma."""
    number = number.strip().removesuffix("px").strip()
    return number.replace(",", ".") if re.fullmatch(r"-?[0-9]{1,9},[0-9]{1,9}%?", number) else number


def _four(values: Sequence[float], order: str | None, percent: bool) -> Four:
    a, b, c, d = values
    return Four((a, b, c, d), order, percent)


def settled(reading: Reading, boxes: Sequence[Four], size: Size | None, gathering: Gathering) -> Reading:
    """The interpretation of all boxes of a plan, fully determined. Assumptions are noted.

    Raises:
        SizeNeededError: the boxes are in pixels, and the picture's size is not given.
    """
    largest = max((abs(value) for box in boxes for value in box.values if abs(value) < 1e9), default=0.0)
    if all(box.percent for box in boxes) and boxes:
        return replace(reading, order=reading.order or X_FIRST, unit=PERCENT)
    are_whole = all(value.is_integer() for box in boxes for value in box.values)
    unit = reading.unit
    if unit is None or largest > 1 or not are_whole:  # whole numbers up to 1 may be tiny boxes
        unit = _unit(unit, largest, gathering)
    if unit == PIXELS and size is None and boxes:
        raise SizeNeededError(
            f"The boxes are in pixels, up to {largest:g}, and of which picture is not said. Give the width"
            " and height of the picture that they were made for; for Qwen2.5-VL, as it saw it, resized. If"
            " they are thousandths, choose the notation 'json'."
        )
    return Reading(reading.order or _assumed_order(boxes, gathering), unit)


def _assumed_order(boxes: Sequence[Four], gathering: Gathering) -> str:
    """The order of boxes that do not define it: sides, if second corners would precede first ones."""
    open_ones = [box.values for box in boxes if box.order is None]
    if not open_ones:
        return X_FIRST
    if any(c < a or d < b for a, b, c, d in open_ones):
        note = Note("read_as_sides", order=WIDTH_HEIGHT, x_first="'qwen3-vl'", y_first="'ideogram'")
        gathering.note(note)
        return WIDTH_HEIGHT
    gathering.note(Note("read_as_corners", order=X_FIRST, y_first="'ideogram'", sides=WIDTH_HEIGHT))
    return X_FIRST


def _unit(unit: str | None, largest: float, gathering: Gathering) -> str:
    if unit == PIXELS or (unit == FRACTIONS and largest <= _OVERSHOOT):
        return unit
    if largest <= 1:
        if unit == THOUSANDTHS:
            gathering.note(Note("read_as_fractions"))
        return FRACTIONS
    if unit is None and largest <= 100:
        gathering.note(Note("read_as_percent", thousandths="'qwen3-vl'", pixels="'qwen2.5-vl'"))
        return PERCENT
    if largest > GRID * _OVERSHOOT or (unit == FRACTIONS and largest > GRID):
        if unit is not None:
            gathering.note(Note("more_than_it_has", largest=f"{largest:g}"))
        return PIXELS
    if unit is None:
        gathering.note(Note("read_as_thousandths", pixels="'qwen2.5-vl'"))
    elif unit == FRACTIONS:
        gathering.note(Note("larger_than_one"))
    return THOUSANDTHS


def as_fractions(box: Four, reading: Reading, size: Size | None) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of a box, possibly out of range, by a determined interpretation."""
    a, b, c, d = box.values
    order = box.order or reading.order
    if order == Y_FIRST:
        a, b, c, d = b, a, d, c
    elif order == WIDTH_HEIGHT:
        c, d = a + c, b + d
    parts = _PARTS.get(PERCENT if box.percent else reading.unit or FRACTIONS)
    across, down = (parts, parts) if parts else size or (1, 1)
    return a / across, b / down, c / across, d / down
