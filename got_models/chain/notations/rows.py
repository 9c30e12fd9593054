"""Boxes in rows: tables, comma-separated values, YOLO's lines, and numbers with names, rewritten as JSON."""

from __future__ import annotations

import csv
import json
import re
from typing import Any

from ...notes import Note
from .coordinates import four_numbers

_N = r"-?[0-9]{1,9}(?:\.[0-9]{0,12})?%?"
_JOIN = r"[ \t]{0,9}[,;]?\s{1,40}"
_NAMES = (
    ("x1", "y1", "x2", "y2"),
    ("x_?min", "y_?min", "x_?max", "y_?max"),
    ("left", "top", "right", "bottom"),
    ("x", "y", "w(?:idth)?", "h(?:eight)?"),
    ("left", "top", "width", "height"),
)
_NAMED = [
    re.compile(
        r"(?<![\w\"'])" + _JOIN.join(rf"({name})[ \t]?[:=][ \t]?({_N})" for name in names), re.IGNORECASE
    )
    for names in _NAMES
]
_RANGES = re.compile(
    rf"\bx\s(?:from|between)?\s?({_N})\s(?:to|and|-)\s({_N})[,;]?\s(?:and\s)?"
    rf"y\s(?:from|between)?\s?({_N})\s(?:to|and|-)\s({_N})",
    re.IGNORECASE,
)
_QUOTED_LABEL = re.compile(
    r"\b(?:label|name|object|phrase|desc(?:ription)?|text)\s?[:=]\s?(\"[^\"\n]{1,300}\"|'[^'\n]{1,300}'|[^\n,;()]{1,300})",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^[ \t]{0,20}(?:[-*\u2022+]|[0-9]{1,3}[.)])[ \t]{1,9}")
_CALL = re.compile(
    r"\b\w{1,40}\(\s?(\"[^\"\n]{1,300}\"|'[^'\n]{1,300}')\s?,\s?"
    r"(\[ ?[^\[\]()\n]{1,100}\]|[^\[\]()\n]{1,300})\s?\)[;,]?"
)
_FRACTION = r"[ \t]{1,9}(?:[01]?\.[0-9]{1,12}|[01]\b)"
_YOLO = re.compile(rf"([^\s,;]{{1,60}})((?:{_FRACTION}){{4}})([ \t][0-9.]{{1,12}})?[ \t]{{0,9}}")
_PLAIN = re.compile(rf"([^\n,;]{{1,300}}?)((?:[ \t]{{0,9}}[,;\t][ \t]{{0,9}}{_N}){{4}})[ \t]{{0,9}}")
_LONGEST = 400
_RULE = re.compile(r"[\s|:+-]{3,400}")


def from_rows(text: str) -> tuple[str, str]:
    """The text with its rows as JSON, if they hold boxes, and a note on what was assumed, or empty."""
    if "{" in text:
        return text, ""
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("```")]
    yolo = _yolo(lines)
    entries = yolo or _table(lines) or _plain(lines)
    if entries:
        rest = [line for line in lines if not _is_row(line)]
        return "\n".join([*rest, json.dumps(entries, ensure_ascii=False)]), Note(
            "read_as_yolo"
        ) if yolo else ""
    return _named(text), ""


def _is_row(line: str) -> bool:
    return (
        bool(re.search(rf"(?:{_N}[\s,;|]{{1,9}}){{3}}{_N}", line)) or line.count("|") > 1 or _is_header(line)
    )


def _is_header(line: str) -> bool:
    names = {name.strip(' "*').lower() for name in re.split(r"[,;|\t]", line)}
    return four_numbers(dict.fromkeys(names, 0)) is not None


def _table(lines: list[str]) -> list[dict[str, Any]]:
    """Rows under a line of names that hold those of a box, of Markdown or with commas."""
    for place, line in enumerate(lines):
        if not _is_header(line):
            continue
        names = _cells(line)
        rows = [_cells(row) for row in lines[place + 1 :] if not _RULE.fullmatch(row)]
        named = [dict(zip(names, row, strict=False)) for row in rows if len(row) >= len(names) - 1]
        entries = [_entry(row) for row in named]
        return [entry for entry in entries if entry]
    return []


def _cells(line: str) -> list[str]:
    sign = next((sign for sign in "|\t;," if sign in line), ",")
    if sign == "|":
        return [cell.strip(" *_`") for cell in line.strip().strip("|").split("|")]
    return [
        cell.strip(" *_`") for cell in next(csv.reader([line.strip()], delimiter=sign, skipinitialspace=True))
    ]


def _entry(row: dict[str, str]) -> dict[str, Any]:
    lower = {name.lower(): value for name, value in row.items()}
    words = next((value for value in lower.values() if not re.fullmatch(rf"\W*|{_N}", value)), "")
    numbers = {
        name: value for name, value in lower.items() if re.fullmatch(_N, value) and name not in ("#", "")
    }
    return {"label": words, **numbers} if four_numbers(numbers) else {}


def _yolo(lines: list[str]) -> list[dict[str, Any]]:
    """YOLO's "class cx cy width height", in fractions; each line has to be one."""
    entries = []
    for line in lines:
        match = _YOLO.fullmatch(line.strip())
        if not match:
            return []
        numbers = dict(zip(("cx", "cy", "w", "h"), map(float, match[2].split()), strict=True))
        is_number = match[1].isdigit()
        name = {"class_id": f"class {match[1]}"} if is_number else {"label": match[1].replace("_", " ")}
        entries.append({**name, **numbers})
    return entries


def _plain(lines: list[str]) -> list[dict[str, Any]]:
    """Lines "words, 1, 2, 3, 4"; each line has to be one."""
    entries = []
    for line in lines:
        match = _PLAIN.fullmatch(line.strip())
        if not match or not re.search(r"[^\W\d]", match[1]):
            return []
        words = _BULLET.sub("", match[1]).strip(" \"'*_`|")
        entries.append({"label": words, "box": re.findall(_N, match[2])})
    return entries


def _named(text: str) -> str:
    """The boxes of numbers with names, such as "x1=10 y1=20 x2=30 y2=40", and of calls, as JSON."""
    found: list[tuple[int, int, dict[str, Any]]] = []
    for pattern in _NAMED:
        for match in pattern.finditer(text):
            names, numbers = match.groups()[::2], match.groups()[1::2]
            keys = [str(name).lower().replace("_", "") for name in names]
            found.append((*match.span(), dict(zip(keys, numbers, strict=True))))
    for match in _RANGES.finditer(text):
        left, right, top, bottom = match.groups()
        found.append((*match.span(), {"x1": left, "y1": top, "x2": right, "y2": bottom}))
    for match in _CALL.finditer(text):
        four = re.findall(_N, match[2])
        if len(four) == 4 and four_numbers(match[2]):
            found.append((*match.span(), {"label": match[1][1:-1], "box": four}))
    if not found:
        return text
    entries, done = [], 0
    for start, end, box in sorted(found, key=lambda item: item[0]):
        if start < done:
            continue
        entries.append({"label": _label(text[done:start], text[end : end + _LONGEST]), **box})
        done = end
    return json.dumps(entries, ensure_ascii=False)


def _label(before: str, behind: str) -> str:
    """The words of a box: after "label=" before or behind it, or those right before it."""
    if said := list(_QUOTED_LABEL.finditer(before)):
        return said[-1][1].strip(" \"'")
    if said := list(_QUOTED_LABEL.finditer(behind.partition(")")[0].partition("\n")[0])):
        return said[0][1].strip(" \"'")
    line = _BULLET.sub("", before.rstrip().rpartition("\n")[2])
    return line.strip(" \t\"'*_`:=,([-\u2013\u2014\u2192|)")
