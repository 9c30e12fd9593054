"""Reading JSON objects from foreign files, with limits on nesting and on numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..errors import GoTError
from .text_files import read_text

MAX_FILE = 64_000_000  # bytes
MAX_DEPTH = 32
"""Maximum nesting of objects and lists; settings use four."""
MAX_NUMBER = 2**64


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        GoTError: the file cannot be read, is not JSON, is not an object, is nested too deeply, or holds
            numbers that are not finite or larger than any setting.
    """
    text = read_text(file, MAX_FILE)
    try:
        values = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_bounded)
    except RecursionError as error:
        raise GoTError(f"{file} is nested too deeply to be what it should be. Copy it again.") from error
    except ValueError as error:
        raise GoTError(f"{file} is not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise GoTError(f"{file} must hold a JSON object, got {type(values).__name__}.")
    level: list[Any] = [values]
    for _ in range(MAX_DEPTH):
        inner = [entry.values() if isinstance(entry, dict) else entry for entry in level]
        level = [value for values in inner for value in values if isinstance(value, (dict, list))]
    if level:
        raise GoTError(f"{file} is nested more than {MAX_DEPTH} levels deep. Copy it again.")
    return values


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    return value if math.isfinite(value := float(text)) else _refuse(text[:20])


def _bounded(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) > MAX_NUMBER:
        raise ValueError(f"a number of {len(text)} digits")
    return value
