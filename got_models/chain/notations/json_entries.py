"""The entries of a plan anywhere in JSON: words and boxes, by the names of their keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import short_repr
from .coordinates import (
    Four,
    Reading,
    Size,
    as_fractions,
    four_numbers,
    settled,
)
from .json_names import (
    BOXES,
    COLORS,
    DESCRIPTION,
    KINDS_OF_BOX,
    LISTS,
    NUMBERS,
    ORDERS,
    PARALLEL_BOXES,
    PARALLEL_WORDS,
    READ,
    WORDS,
)
from .plan import Gathering

_NUMBER = r"-?[0-9]{0,6}\.?[0-9]{1,12} ?%?"
_LINE = re.compile(rf"([^\n]{{1,500}}?)\s?[:=\u2013-]?\s?([\[(]?{' ?, ?'.join([_NUMBER] * 4)}[\])]?)")
_LONGEST_LINE = 600
_ONE = re.compile(rf"{_NUMBER}(?:px)?")


@dataclass
class Entry:
    """One object as found in the JSON. `box` is None if it has none that can be parsed.

    Attributes:
        rest: names of what is not read.
        unread: the box as it was written, where it holds no four numbers.
        outlined: whether the box is the one around an outline, which is not kept.
    """

    phrase: str = ""
    box: Four | None = None
    kind: str = "obj"
    text: str = ""
    palette: tuple[str, ...] = ()
    box_name: str = ""
    rest: tuple[str, ...] = ()
    unread: str = ""
    outlined: bool = False


def entries(value: Any, name: str = "", listed: bool = False) -> Iterator[Entry]:
    """All entries of a value, in order.

    Args:
        name: its key.
        listed: whether it is in a list, where objects without a box count too.
    """
    if isinstance(value, dict):
        yield from _of_object(value, name, listed)
    elif isinstance(value, (list, tuple)):
        yield from _of_list(value, name)
    elif listed and isinstance(value, str) and (line := _LINE.fullmatch(value[:_LONGEST_LINE])):
        yield Entry(line[1].strip(), four_numbers(line[2]))


def _of_object(value: dict[str, Any], name: str, listed: bool) -> Iterator[Entry]:
    twice = {key[:-1]: entry for key, entry in value.items() if key.endswith("'") and key[:-1] in value}
    if twice:  # a bracket between two things is missing
        yield from _of_object({key: value[key] for key in value if key[:-1] not in twice}, name, listed)
        yield from _of_object(twice, name, listed)
        return
    lower = _lower(value)
    words = next((lower[key] for key in PARALLEL_WORDS if _is_list_of_text(lower.get(key))), None)
    boxes = next((lower[key] for key in PARALLEL_BOXES if isinstance(lower.get(key), list)), None)
    if words is not None and boxes is not None:
        for place in range(max(len(words), len(boxes))):
            word = words[place] if place < len(words) else ""
            yield from _boxed({}, word, boxes[place] if place < len(boxes) else None, "bboxes")
        return
    key = next((key for key in BOXES if key in lower and _may_be_box(lower[key])), None)
    if lower.get("nobbox") is True:
        yield _described(lower, _phrase(lower), None, "")
    elif key is not None:
        yield from _with_boxes(lower, name, key)
    elif (box := four_numbers(lower)) is not None:
        yield _described(lower, _phrase(lower) or _thing(name), box, "x, y")
    elif listed and (words := _phrase(lower)):
        yield _described(lower, "", None, "")
        yield from _inner(lower)
    else:
        yield from _inner(value)


def _inner(value: dict[str, Any]) -> Iterator[Entry]:
    for key, entry in value.items():
        if isinstance(entry, (list, tuple)) and len(entry) == 4 and (box := four_numbers(entry)):
            yield Entry(_thing(key), box, box_name=key.lower() if not _thing(key) else "")
        else:
            yield from entries(entry, key)


def is_entry(value: dict[str, Any]) -> bool:
    """Whether an object is a thing with a box, and not what holds such things."""
    lower = _lower(value)
    named = any(key in lower and lower[key] is not None and _may_be_box(lower[key]) for key in BOXES)
    return named or four_numbers(lower) is not None


def _may_be_box(value: Any) -> bool:
    """Whether a box key's value is one box or several, rather than a list of objects with boxes."""
    if not isinstance(value, (list, tuple)):
        return value is None or four_numbers(value) is not None
    things = any(isinstance(entry, dict) and (_phrase(entry) or not four_numbers(entry)) for entry in value)
    return not things and (not _is_list_of_text(value) or four_numbers(value) is not None)


def _with_boxes(lower: dict[str, Any], name: str, key: str) -> Iterator[Entry]:
    value = lower[key]
    several = isinstance(value, (list, tuple)) and value and four_numbers(value) is None
    if several and all(four_numbers(entry) is not None for entry in value):
        for entry in value:
            yield from _boxed(lower, _phrase(lower) or _thing(name), entry, key)
    else:
        yield from _boxed(lower, _phrase(lower) or _thing(name), value, key)
    for other, inner in lower.items():  # parts of the thing, with boxes of their own
        if other not in (key, *COLORS) and isinstance(inner, (list, dict)):
            yield from entries(inner, "", listed=False)


def _boxed(lower: dict[str, Any], phrase: Any, value: Any, key: str) -> Iterator[Entry]:
    box = four_numbers(value)
    if box and (order := ORDERS.get(key[-4:])):
        box = replace(box, order=order)
    entry = _described(lower, phrase if isinstance(phrase, str) else "", box, key)
    if entry.box is None and value not in (None, [], ""):
        entry.unread = short_repr(value)
    several = isinstance(value, (list, tuple)) and len(value) > 2
    entry.outlined = several and box is not None and isinstance(value[0], (list, tuple))
    yield entry


def _of_list(value: Sequence[Any], name: str) -> Iterator[Entry]:
    numbers = [entry for entry in value if not isinstance(entry, str)]
    words = [entry for entry in value if isinstance(entry, str)]
    boxed = numbers[0] if len(numbers) == 1 else numbers
    if len(value) == 4 and (box := four_numbers(value)) is not None:
        yield Entry("", box, box_name=name.lower())
    elif len(words) == 1 and (box := four_numbers(boxed)):  # "a cat", [1, 2, 3, 4], or the numbers themselves
        yield Entry(words[0], box, box_name=name.lower())
    else:
        for entry in value:
            yield from entries(entry, name, listed=True)


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, str) for entry in value)


def _thing(name: str) -> str:
    """The key of an entry, if it names the object rather than a list of objects."""
    name = name.rstrip("'").strip()
    return "" if name.lower() in LISTS else name


def _lower(value: Any) -> dict[str, Any]:
    return {key.lower().strip(): entry for key, entry in value.items()} if isinstance(value, dict) else {}


def _phrase(entry: dict[str, Any]) -> str:
    """The words of an entry: its description, preceded by its label where that adds information."""
    both = {**_lower(entry.get("metadata")), **entry}
    texts = {key: ", ".join(both[key]) if _is_list_of_text(both.get(key)) else both.get(key) for key in WORDS}
    found = [(key, text.strip()) for key, text in texts.items() if isinstance(text, str) and text.strip()]
    found.sort(key=lambda item: item[0] not in DESCRIPTION)
    phrase = ""
    for _, text in found:
        if text.lower() not in phrase.lower():
            phrase = f"{text}, {phrase}" if phrase else text
    kind = both.get("type")
    return phrase or (kind if isinstance(kind, str) and kind.lower() not in KINDS_OF_BOX else "")


def _described(entry: dict[str, Any], phrase: str, box: Four | None, key: str) -> Entry:
    """The description of an object besides its box, which is stored under `key`."""
    both = {**entry, **{name: value for name, value in _lower(entry.get("metadata")).items() if value}}
    text = both.get("text")
    text = text.strip() if isinstance(text, str) else ""
    is_text = str(both.get("type", "")).lower() == "text"
    phrase = phrase or _phrase(entry)
    if not is_text and not phrase:
        phrase, text = text, ""
    palette = both.get("color_palette", both.get("palette"))
    colors = (
        list(palette.values()) if isinstance(palette, dict) else palette if isinstance(palette, list) else []
    )
    return Entry(
        phrase,
        box,
        "text" if is_text else "obj",
        text,
        tuple(color for color in colors if isinstance(color, str) and color),
        key,
        tuple(
            f"{name}: {short_repr(value)}" for name, value in entry.items() if _is_unread(name, value, key)
        ),
    )


def _is_unread(name: str, value: Any, key: str) -> bool:
    """Whether an entry says something under this name that is not read."""
    if name in READ or name == key:
        return False
    if isinstance(value, dict):
        return not any(True for _ in entries(value)) and bool(value)
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, (str, int, float)) for item in value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return name not in NUMBERS and value != 0
    if name in NUMBERS and isinstance(value, str) and _ONE.fullmatch(value.strip()):
        return False
    return isinstance(value, str) and bool(value.strip())


def gather(found: Sequence[Entry], reading: Reading, size: Size | None, gathering: Gathering) -> None:
    """Adds all entries, with their boxes interpreted consistently.

    Raises:
        GoTError: the boxes are in pixels, and the picture's size is not given.
    """
    reading = settled(reading, [entry.box for entry in found if entry.box], size, gathering)
    for entry in found:
        name = short_repr(entry.phrase or entry.text or "a box without words")
        if entry.unread:
            gathering.about("not_four_of", name, numbers=entry.unread)
        if entry.outlined:
            gathering.about("outline", name)
        for key in entry.rest:
            gathering.about("not_read", name, entry=key)
        corners = as_fractions(entry.box, reading, size) if entry.box else None
        gathering.add(entry.phrase, corners, entry.kind, entry.text, entry.palette)
