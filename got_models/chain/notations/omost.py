"""Omost's canvas: Python calls that are parsed as data, and never executed.

    canvas.set_global_description(description="...", detailed_descriptions=[...], tags="...", ...)
    canvas.add_local_description(location="on the left", offset="no offset", area="a small square area", ...)

Places are names on a grid of 90 x 90: facts from lllyasviel/Omost, lib_omost/canvas.py.
"""

from __future__ import annotations

import ast
import re
from difflib import get_close_matches
from typing import Any

from PIL import ImageColor

from ...errors import GoTError, short_repr
from ...notes import Note
from .colors import hex_color
from .plan import Gathering, LayoutPlan

GRID = 90
_CENTERS = {"in the center": (45, 45)} | {
    f"on the {name}": place
    for name, place in {
        "left": (15, 45),
        "right": (75, 45),
        "top": (45, 15),
        "bottom": (45, 75),
        "top-left": (15, 15),
        "top-right": (75, 15),
        "bottom-left": (15, 75),
        "bottom-right": (75, 75),
    }.items()
}
_OFFSETS = {"no offset": (0, 0)} | {
    f"slightly to the {name}": shift
    for name, shift in {
        "left": (-10, 0),
        "right": (10, 0),
        "upper": (0, -10),
        "lower": (0, 10),
        "upper-left": (-10, -10),
        "upper-right": (10, -10),
        "lower-left": (-10, 10),
        "lower-right": (10, 10),
    }.items()
}
_SIZES = {
    "a small square area": (50, 50),
    "a small vertical area": (40, 60),
    "a small horizontal area": (60, 40),
    "a medium-sized square area": (60, 60),
    "a medium-sized vertical area": (50, 80),
    "a medium-sized horizontal area": (80, 50),
    "a large square area": (70, 70),
    "a large vertical area": (60, 90),
    "a large horizontal area": (90, 60),
}
_GLOBAL = ("description", "detailed_descriptions", "tags", "HTML_web_color_name")
_LOCAL = (
    *("location", "offset", "area", "distance_to_viewer", "description", "detailed_descriptions", "tags"),
    *("atmosphere", "style", "quality_meta", "HTML_web_color_name"),
)
_LEFT_OUT = ("detailed_descriptions", "tags", "atmosphere", "style", "quality_meta")
_CALL = re.compile(r"\b\w{1,40}\s?\.\s?(set_global_description|add_local_description)\s?\(")
_MAX_CALL = 20_000  # characters
_MAX_BRACKETS = 200


def is_omost(text: str) -> bool:
    return _CALL.search(text) is not None


def read(text: str) -> LayoutPlan:
    """Raises GoTError if no call can be parsed."""
    gathering = Gathering()
    prose = prompt = ""
    calls = list(_CALL.finditer(text))
    ends = [*(call.start() for call in calls[1:]), len(text)]
    for call, end in zip(calls, ends[: len(calls)], strict=True):
        source = text[call.start() : end]
        is_global = call[1] == "set_global_description"
        arguments = _arguments(source, _GLOBAL if is_global else _LOCAL)
        if arguments is None:
            gathering.note(
                f"A line of the canvas is left out, because it is cut off or no data: {short_repr(source)}."
            )
        elif is_global:
            prompt = _text(arguments.get("description"))
            details = arguments.get("detailed_descriptions")
            prose = _sentences([prompt, *(details if isinstance(details, list) else [])])
            if _text(arguments.get("tags")):
                gathering.note(Note("left_out", name="tags", words=short_repr(arguments["tags"])))
        else:
            _add(arguments, gathering)
    if not gathering.elements and not prose:
        raise GoTError(Note("no_canvas", name="Omost", call="canvas.add_local_description"))
    return gathering.plan(prose, prompt)


def _arguments(source: str, names: tuple[str, ...]) -> dict[str, Any] | None:
    """The literal arguments of a call, by name; None if it is incomplete, or not made of literals."""
    source = source[: min(source.rfind(")") + 1, _MAX_CALL)]
    if sum(source.count(sign) for sign in "([{-~+") > _MAX_BRACKETS:
        return None
    try:
        call = ast.parse(source.strip(), mode="eval").body
        if not isinstance(call, ast.Call):
            return None
        given = {name: ast.literal_eval(value) for name, value in zip(names, call.args, strict=False)}
        return given | {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _add(arguments: dict[str, Any], gathering: Gathering) -> None:
    phrase = _text(arguments.get("description")).rstrip(".")
    color = _text(arguments.get("HTML_web_color_name")).lower()
    palette = (hex_color(color),) if color in ImageColor.colormap else ()
    if left_out := [key for key in _LEFT_OUT if arguments.get(key)]:
        gathering.about("not_read", short_repr(phrase), entry=", ".join(left_out))
    named = {
        "location": (arguments.get("location"), _CENTERS),
        "offset": (arguments.get("offset", "no offset"), _OFFSETS),
        "area": (arguments.get("area"), _SIZES),
    }
    places = []
    for name, (value, known) in named.items():
        close = get_close_matches(_text(value).lower()[:60], known, n=1, cutoff=0.6)
        if not close:
            gathering.about("not_read", short_repr(phrase), entry=f"{name}: {short_repr(value)}")
            gathering.add(phrase, None, palette=palette)
            return
        if close[0] != _text(value).lower():
            gathering.note(f"{name} {short_repr(value)} is read as {close[0]!r}.")
        places.append(known[close[0]])
    (x, y), (right, down), (width, height) = places
    corners = (x + right - width / 2, y + down - height / 2, x + right + width / 2, y + down + height / 2)
    gathering.add(phrase, [min(max(value / GRID, 0.0), 1.0) for value in corners], palette=palette)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _sentences(texts: list[Any]) -> str:
    return " ".join(
        f"{text.strip().rstrip('.')}." for text in texts if isinstance(text, str) and text.strip(" .")
    )
