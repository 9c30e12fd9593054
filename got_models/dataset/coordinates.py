"""Boxes that a published row stores separately from its text, as OmniEdit-GoT does.

The text has keys in place of coordinates, and `coord` is JSON that maps each key to its coordinates:

    got    The dog <box_1> becomes a cat.
    coord  {"box_1": [[310, 280], [640, 790]]}
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..chain.chain import GRID
from ..errors import GoTError, short_repr
from .rows import without_repetition

MAX_KEYS, MAX_KEY = 1000, 100
"""Per row; each is searched for throughout the text."""
LARGEST = 1e9  # coordinate

_OPENING, _CLOSING = "[<{(", "]>})"


def with_coordinates(text: str, coord: Any) -> tuple[str, tuple[str, ...]]:
    """The text with its keys replaced by coordinates, and what had to be fixed.

    Brackets directly around a key are removed.

    Args:
        coord: key -> coordinates, or JSON of it. Coordinates are four numbers in thousandths of width and
            height, in any nesting, or text with them; numbers up to 1 are fractions of the side.

    Raises:
        GoTError: it is neither, has too many keys or too long ones, a key in the text does not have four
            numbers, or a similar key in the text has no coordinates.
    """
    table = _table(coord)
    keys = sorted(filter(None, table), key=len, reverse=True)  # longest first: box_1 is a prefix of box_10
    if not keys:
        return text, ()
    found = set()
    fixed = []

    def replace(match: re.Match[str]) -> str:
        key = next(name for name in (match[0], match[0][1:-1]) if name in table)
        found.add(key)
        box, warning = _box(key, table[key])
        if warning:
            fixed.append(warning)
        return box

    text = re.sub("|".join(map(_pattern, keys)), replace, text)
    like = re.search("|".join(sorted({_like(key) for key in keys})), text)
    if like:
        raise GoTError(f"{short_repr(like[0])} is in the text, but there are no coordinates for it.")
    lost = [key for key in table if key not in found and table[key] is not None]
    fixed += [f"The coordinates of {short_repr(key)} have no place in the text." for key in lost]
    return text, tuple(fixed)


def _table(coord: Any) -> dict[str, Any]:
    if isinstance(coord, str):
        try:
            coord = json.loads(coord, object_pairs_hook=without_repetition)
        except (ValueError, RecursionError) as error:
            raise GoTError(f"The coordinates are not JSON: {error}.") from error
    if isinstance(coord, GoTError):
        raise coord
    if not isinstance(coord, dict):
        raise GoTError(f"The coordinates must be an object, key by key, got {short_repr(coord)}.")
    if len(coord) > MAX_KEYS or any(len(str(key)) > MAX_KEY for key in coord):
        raise GoTError(
            f"The coordinates may have {MAX_KEYS} keys of {MAX_KEY} characters, got {short_repr(coord)}."
        )
    return {str(key): value for key, value in coord.items()}


def _bounded(pattern: str, key: str) -> str:
    """Matches whole words only: `box_1` is not in `box_10`."""
    before = r"(?<!\w)" if re.match(r"\w", key) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", key) else ""
    return f"{before}{pattern}{after}"


def _pattern(key: str) -> str:
    alone = _bounded(re.escape(key), key)
    around = (re.escape(a) + alone + re.escape(b) for a, b in zip(_OPENING, _CLOSING, strict=True))
    return "|".join([*around, alone])


def _like(key: str) -> str:
    """A pattern for keys with other digits; empty for a key without letters or digits."""
    if not re.search(r"[^\W\d]", key) or not re.search(r"\d", key):
        return r"(?!)"
    return _bounded(re.sub(r"\d+", lambda match: r"\d+", re.escape(key)), key)


def _box(key: str, value: Any) -> tuple[str, str]:
    """`(x1,y1),(x2,y2)`, and what had to be fixed."""
    numbers = _numbers(value)
    if len(numbers) != 4:
        raise GoTError(f"The coordinates of {short_repr(key)} must be four numbers, got {short_repr(value)}.")
    warning = ""
    if all(0 <= number <= 1 for number in numbers):
        numbers = [number * GRID for number in numbers]
        warning = f"The coordinates of {short_repr(key)} are shares of the side: {short_repr(value)}."
    x1, y1, x2, y2 = map(round, numbers)
    return f"({x1},{y1}),({x2},{y2})", warning


def _numbers(value: Any, depth: int = 0) -> list[float]:
    """The numbers in lists, objects or text, in order; [] if there is anything else."""
    if type(value) in (int, float) and abs(value) < LARGEST:
        return [value]
    if isinstance(value, str):
        texts = re.findall(r"-?\d+(?:\.\d+)?", value[:200])
        return [float(text) if "." in text else int(text) for text in texts]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)) and len(value) <= 4 and depth < 4:
        return [number for entry in value for number in _numbers(entry, depth + 1)]
    return []
