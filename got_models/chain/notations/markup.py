"""Boxes in markup, SVG's rect and others, found as text: nothing of it is ever shown or run as markup."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from .coordinates import four_numbers

_VALUE = r"(?:\"[^\"<]{0,500}\"|'[^'<]{0,500}')"
_TAG = re.compile(
    rf"<(/?)([A-Za-z][\w:-]{{0,40}})((?:\s{{1,99}}[\w:-]{{1,40}}\s?=\s?{_VALUE})*)\s{{0,99}}/?>"
)
_ATTRIBUTE = re.compile(r"([\w:-]{1,40})\s?=\s?(?:\"([^\"<]{0,500})\"|'([^'<]{0,500})')")
_LEAF = re.compile(r"<([A-Za-z]\w{0,40})>\s{0,99}([^<>]{1,500}?)\s{0,99}</\1>")
_LABELS = ("aria-label", "data-label", "data-name", "label", "name", "title", "alt", "desc", "id", "class")
_WORDS = ("name", "label", "phrase", "desc", "description", "object", "title", "caption")
_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{0,9})?")


def from_markup(text: str) -> str:
    """The text with its markup as JSON, if that holds boxes; else the text itself."""
    if "<" not in text:
        return text
    tags = list(_TAG.finditer(text))
    boxes, size = _of_attributes(text, tags)
    boxes = boxes or _of_leaves(text)
    if not boxes:
        return text
    plan = {**size, "objects": boxes}
    around = re.sub(
        r"<!--.{0,2000}?-->|<[^<>]{0,2000}>", " ", text[: tags[0].start()] + text[tags[-1].end() :]
    )
    return f"{around}\n{json.dumps(plan, ensure_ascii=False)}"


def _of_attributes(text: str, tags: list[re.Match[str]]) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Entries for all tags with the numbers of a box, and the picture's size if a tag <svg> says it."""
    entries: list[dict[str, Any]] = []
    size: dict[str, float] = {}
    words = ""
    waits = False  # the last box for its words
    for tag in tags:
        attributes = {name.lower(): html.unescape(a or b) for name, a, b in _ATTRIBUTE.findall(tag[3])}
        if tag[2].lower() == "svg":
            size = _size(attributes) or size
        elif tag[2].lower() in ("title", "text", "tspan", "desc") and not tag[1]:
            said = html.unescape(text[tag.end() :].partition("<")[0]).strip()
            if waits:
                entries[-1]["label"], waits = said, False
            else:
                words = said or words
        elif attributes and not tag[1] and four_numbers(attributes):
            label = next((attributes[name] for name in _LABELS if attributes.get(name)), "")
            numbers = {name: attributes[name] for name in attributes if _NUMBER.match(attributes[name])}
            entries.append({"label": label or words, **numbers})
            waits, words = not (label or words), ""
    return entries, size


def _size(attributes: dict[str, str]) -> dict[str, float]:
    view = [float(number) for number in _NUMBER.findall(attributes.get("viewbox", ""))]
    sides = view[2:] if len(view) == 4 else []
    if not sides:
        found = [_NUMBER.match(attributes.get(name, "")) for name in ("width", "height")]
        sides = [float(match[0]) for match in found if match and "%" not in match.string]
    return {"width": round(sides[0]), "height": round(sides[1])} if len(sides) == 2 else {}


def _of_leaves(text: str) -> list[dict[str, Any]]:
    """Entries for elements such as <name>a cat</name> <xmin>1</xmin> ..., in order."""
    entries: list[dict[str, Any]] = []
    current: dict[str, Any] = {}
    for name, content in _LEAF.findall(text):
        key = "label" if name.lower() in _WORDS else name.lower()
        if key in current and four_numbers(current):
            entries.append(current)
            current = {}
        current[key] = html.unescape(content)
    return [*entries, current] if four_numbers(current) else entries
