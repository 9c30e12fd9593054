"""Coordinates in an unsupported notation: somebody meant a box, and none will be drawn."""

from __future__ import annotations

import re

from ..errors import short_repr

# Every repetition is bounded, so that hostile text takes no longer than any other.
_GAP = r"[ \t\n\u00a0\u3000]{0,9}"
_DIGIT = r"[0-9\uff10-\uff19\u0660-\u0669\u06f0-\u06f9\u0966-\u096f]"
_POINT = r"[.\uff0e\u066b]"
_FRACTION = rf"{_POINT}{_DIGIT}{{1,18}}"
_NUMBER = rf"[-\u2212\uff0d]?(?:{_DIGIT}{{1,9}}(?:{_POINT}{_DIGIT}{{0,18}})?|{_FRACTION})(?: ?[%\uff05]|px)?"
_COMMA = r"[,;|\uff0c\u3001\uff1b\u060c\uff64\ufe50\ufe51\ufe54\uff5c]"
_COLON = r"[:=\uff1a]"
_OPEN = r"\\?[(\[{<\uff08\uff3b\uff5b\uff1c\u3008\u300a\u300c\u300e\u3010\u3014\u3016\u27e8\ufe59]"
_CLOSE = r"\\?[)\]}>\uff09\uff3d\uff5d\uff1e\u3009\u300b\u300d\u300f\u3011\u3015\u3017\u27e9\ufe5a]"
_QUOTE = "[\"']?"
_BETWEEN = rf"(?:{_GAP}{_COMMA}{_GAP}|[ \t\n\u00a0]{{1,9}})"
_PAIR = f"{_NUMBER}{_BETWEEN}{_NUMBER}"
_JOINT = rf"{_GAP}(?:{_COMMA}|[:/\u2013\u2014\u2192-]|to|and|bis|und|\u5230|\u81f3|\u548c)?{_GAP}"
_FOUR = rf"{_PAIR}(?:{_BETWEEN}|{_GAP}{_CLOSE}{_GAP}{_COMMA}?{_GAP}{_OPEN}{_GAP}){_PAIR}"
_EDGE = r"(?:[xy](?:_?(?:[0-2c]|min|max|start|end|center))?|c[xy]|left|top|right|bottom)"
_RANGE = rf"{_NUMBER}(?:{_GAP}(?:[-\u2013\u2014~]|to){_GAP}{_NUMBER})?"
_EDGE_AT = (
    rf"{_QUOTE}{_EDGE}{_QUOTE}{_GAP}(?:(?:{_COLON}|from|\u2208){_GAP}{_QUOTE}(?:{_RANGE}|{_OPEN}{_PAIR}{_CLOSE})|"
    rf"{_NUMBER}(?<=[%\uff05x])){_QUOTE}"
)
_CORNER = (
    r"(?:(?:top|upper|bottom|lower)[ _-]?(?:left|right)|(?:left|right)[ _-]?(?:top|bottom)|tl|br"
    r"|[\u5de6\u53f3][\u4e0a\u4e0b]\u89d2?)(?: corner)?"
)
_NAMES = (
    r"bounding[ _-]?box|box|coordinates?|coords?|position|location|region"
    r"|\u5750\u6807|\u8fb9\u754c\u6846|\u65b9\u6846|\u4f4d\u7f6e|\u533a\u57df"
)
_TAGS = (
    "b?box(?:_?(?:2d|start|end))?|bounding[ _-]?box|loc|bin|coords?|coordinates?|points?|det|quad"
    "|poly(?:gon)?|patch_index|region|ref|rect"
)

# Compiled on first use: it takes longer than importing the rest of the pack.
_LOOKALIKE = "|".join(
    [
        r"(?P<box><\|box_start\|>[^<]{1,60}<\|box_end\|>)",  # supported forms are not lookalikes
        rf"(?<![a-z])(?:bbox|b?box_2d)(?:_2d)?{_QUOTE}{_GAP}{_COLON}?(?:{_GAP}{_OPEN}{{1,2}}{_FOUR}{_CLOSE}{{1,2}})?",
        rf"</?(?:{_TAGS})(?:[_ ]?{_DIGIT}{{1,5}}){{0,4}}(?: [^<>\n]{{0,60}})?/?>",
        rf"(?<![a-z])(?:{_NAMES}){_QUOTE}{_GAP}(?:{_COLON}|at|is|(?={_OPEN})){_GAP}{_OPEN}{{0,2}}{_GAP}{_FOUR}",
        rf"(?<![a-z]){_EDGE_AT}{_GAP}(?:{_COMMA}|and)?{_GAP}{_EDGE_AT}",
        rf"(?<![a-z]){_CORNER}{_QUOTE}{_GAP}(?:{_COLON}|at|is|[\u4e3a\u5728]){_GAP}{_OPEN}?{_GAP}{_PAIR}",
        rf"<{_DIGIT}{{1,4}}>{_GAP}<{_DIGIT}{{1,4}}>",
        rf"(?<!rgba)(?<!hsla)(?<!rgba )(?P<four>{_OPEN}{_GAP}(?:{_OPEN}{_GAP})?{_FOUR}{_GAP}{_CLOSE})",
        rf"{_OPEN}{_GAP}{_PAIR}{_GAP}{_CLOSE}?{_JOINT}{_OPEN}(?:{_GAP}{_NUMBER}{_GAP}(?:{_COMMA}|\Z)|{_GAP}\Z)",
        rf"{_OPEN}{_GAP}{_PAIR}{_GAP}{_CLOSE}{_GAP}{_COMMA}{_GAP}{_PAIR}{_GAP}{_CLOSE}",
        rf"(?<!{_DIGIT}){_PAIR}{_GAP}{_CLOSE}{_JOINT}{_OPEN}{_GAP}{_PAIR}",
        rf"{_OPEN}{_DIGIT}{{3}}{_GAP}{_COMMA}{_GAP}{_DIGIT}{{3}}{_CLOSE}",
        rf"{_OPEN}0?[.]{_DIGIT}{{1,9}}{_GAP}{_COMMA}{_GAP}0?[.]{_DIGIT}{{1,9}}{_CLOSE}",
        _BETWEEN.join([rf"(?<!{_DIGIT})0?[.]{_DIGIT}{{1,9}}"] * 4),
        _BETWEEN.join([rf"(?<!{_DIGIT}){_DIGIT}{{1,3}} ?[%\uff05]"] * 4),
    ]
)
_NO_LATIN_I = str.maketrans("\u0130\u0131", "\0\0")
"""The Turkish i: letters that Python, and not JavaScript, takes for an i when it ignores case."""
_EXACT = re.compile(rf"{_POINT}|[%\uff05]|px|{_CLOSE}.*{_CLOSE}", re.DOTALL | re.IGNORECASE)
_YEARS = range(1500, 2101)


def coordinates_not_read(text: str) -> tuple[str, ...]:
    """A warning if anything in a canonical text resembles coordinates but is not a box; otherwise empty."""
    compared = text.translate(_NO_LATIN_I)
    found = [match for match in re.finditer(_LOOKALIKE, compared, re.IGNORECASE) if _is_meant(match)]
    if not found:
        return ()
    first = text[found[0].start() : found[0].end()].strip()
    more = f" There are {len(found) - 1} more like it." if len(found) > 1 else ""
    return (
        f"{short_repr(first)} looks like coordinates, but is not read: it makes no box. Write"
        " (x1,y1),(x2,y2) in thousandths of the picture, right after the words that it belongs to."
        f"{more}",
    )


def _is_meant(match: re.Match[str]) -> bool:
    """Whether a match resembles a box: four numbers in brackets may be years or small numbers instead."""
    if match["box"]:
        return False
    if not match["four"]:
        return True
    if _EXACT.search(match["four"]):
        return True
    values = [int(number) for number in re.findall(f"{_DIGIT}+", match["four"])]
    smallest = 100 if re.match(r"\\?[(\uff08]", match["four"]) else 10
    return max(values) >= smallest and not all(value in _YEARS for value in values)
