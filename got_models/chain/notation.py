"""The notation of boxes in a chain's text: parsed in every supported form, written in one.

    phrase <|box_start|>(x1,y1),(x2,y2)<|box_end|> (color)

Digits, brackets and commas may be full-width, with any kind of space between them. The text must be `clean`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import ImageColor

from ..errors import short_repr
from .characters import SPACES
from .region import GRID, Box, Region

MAX_REGIONS = 64

BOX_START, BOX_END = "<|box_start|>", "<|box_end|>"
OBJECT_START, OBJECT_END = "<|obj_start|>", "<|obj_end|>"
REFERENCE_START, REFERENCE_END = "<|object_ref_start|>", "<|object_ref_end|>"

MASK_COLORS = tuple(
    """red green blue yellow magenta cyan orange purple lime pink brown white teal gold violet olive
    salmon turquoise maroon skyblue gray springgreen chocolate royalblue khaki crimson orchid steelblue tomato
    yellowgreen indigo tan deeppink lavender forestgreen coral darkviolet aquamarine sienna hotpink dodgerblue
    goldenrod seagreen plum slateblue limegreen rosybrown beige deepskyblue firebrick lightgreen cadetblue
    mediumvioletred peru silver cornflowerblue olivedrab sandybrown thistle darkcyan indianred mediumpurple
    wheat powderblue""".split()  # noqa: SIM905
)
"""Colours for boxes that come without one, in order of use: names Pillow knows, visible on a black mask."""

DETERMINERS = frozenset(
    """a an the one two three four five six seven eight nine ten his her its their this that these those
    some several many another""".split()  # noqa: SIM905
)

SPECIAL_TOKEN = re.compile(r"<\|[A-Za-z0-9_]+\|>|[\ud800-\udfff]")
"""What would corrupt the token sequence: special tokens, and lone surrogates, which no tokenizer accepts."""

# All markup there is. `plain` and `inside` hold one box; `special` is anything that is not part of a box.
_SPACE = f"[{SPACES}]*"
_GAP_CHARACTERS = f"{SPACES}\n\u200c\u200d"
_GAP = f"[{_GAP_CHARACTERS}]*"
# As escapes: full-width brackets, digits, comma, stop and minus; the Chinese comma; the minus sign.
_OPEN, _CLOSE, _COMMA = "[(\uff08]", "[)\uff09]", "[,\uff0c\u3001]"
_NUMBER = r"[-\u2212\uff0d]?[0-9\uff10-\uff19]+(?:[.\uff0e][0-9\uff10-\uff19]+)?"
_CORNER = _GAP.join([_OPEN, _NUMBER, _COMMA, _NUMBER, _CLOSE])
_CORNERS = f"(?:{_CORNER}{_GAP}{_COMMA}{_GAP}{_CORNER}|" + (
    _GAP.join([_OPEN, _CORNER, _COMMA, _CORNER, _CLOSE]) + ")"
)
_WORDS = rf"(?![{SPACES}])(?:[^<|\n\ud800-\udfff]|<(?!\|)|\|(?!>))+"
_MARKED = (
    rf"<\|obj_start\|>{_SPACE}(?P<object>{_WORDS})<\|obj_end\|>"
    rf"|<\|object_ref_start\|>{_SPACE}(?P<reference>{_WORDS})<\|object_ref_end\|>"
)
_MARKUP = re.compile(
    r"(?=[<(\uff08\ud800-\udfff])"  # the only possible first characters, so that prose is skipped quickly
    rf"(?:(?:(?:{_MARKED}){_SPACE})?(?:<\|box_start\|>(?P<inside>[^<]{{0,60}})<\|box_end\|>|(?P<plain>{_CORNERS}))"
    rf"|(?P<special>{SPECIAL_TOKEN.pattern}))"
)
_INSIDE = re.compile(f"{_GAP}{_CORNERS}{_GAP}")
_COLOR = re.compile(rf"{_SPACE}{_OPEN}([A-Za-z\uff21-\uff3a\uff41-\uff5a]+){_CLOSE}")
_ASCII_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_PHRASE_BOUNDARY = re.compile(
    r"[.,;:!?()\n…"
    r"\u3002\uff0e\uff0c\uff64\u3001\uff1b\uff1a\uff01\uff1f"  # Chinese and Japanese stops and commas
    r"\uff08\uff09\uff3b\uff3d\uff5b\uff5d\u3008-\u3011\u3014-\u3017"  # brackets
    r"\uff61-\uff63\u060c\u061b\u061f\u06d4\u0964\u0965]"  # half-width ones; Arabic and Hindi stops
)
_CORNER_CHARACTERS = (
    f"{_GAP_CHARACTERS}()\uff08\uff09,\uff0c\u3001.\uff0e-\u2212\uff0d0123456789"
    "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19"
)
_TOKEN_END, _TOKEN_START = re.compile(r"[<|A-Za-z0-9_]\Z"), re.compile(r"[A-Za-z0-9_|>]")
_NO_GAP_BEFORE = f"{SPACES}\n.,;:!?)\u3002\uff0c\u3001\uff1b\uff1a\uff01\uff1f\uff09"
_LOOK_BACK = 100  # characters: longer than any box in practice
_WORD = re.compile(f"[^{SPACES}]+")
_WORDS_WITHOUT_DETERMINER = 4


@dataclass(frozen=True)
class Found:
    """One valid box as written in a text: [start, end) with its phrase, if marked, and its colour, if valid.

    `colorless`: no colour name follows it, not even an invalid one.
    """

    start: int
    end: int
    phrase: str | None
    box: Box
    color: str | None
    colorless: bool


@dataclass(frozen=True)
class Problem:
    """A fault in [start, end); if it must be `cut`, `keep` replaces it."""

    start: int
    end: int
    message: str
    cut: bool = False
    keep: str = ""


def scan(text: str) -> tuple[list[Found], list[Problem]]:
    """All boxes of a text, fixed where possible, and all problems, both from left to right."""
    found: list[Found] = []
    problems: list[Problem] = []
    colors_rgb: set[tuple[int, ...]] = set()
    for match in _MARKUP.finditer(text):
        start, end = match.span()
        if match["special"]:
            problems.append(Problem(start, end, _stray_token_message(match["special"]), cut=True))
            continue

        color_match = _COLOR.match(text, end)
        color = unicodedata.normalize("NFKC", color_match[1]).lower() if color_match else None
        known = color in ImageColor.colormap
        if color_match and (known or not match["plain"]):  # after a plain box a word in brackets may be prose
            end = color_match.end()
        else:
            color = None
        colorless = color is None

        phrase = (match["object"] or match["reference"] or "").rstrip(SPACES) or None
        corners, complaints = _read_corners(match["plain"] or match["inside"])
        if corners and len(found) == MAX_REGIONS:
            corners, complaints = None, [f"A chain holds at most {MAX_REGIONS} boxes."]
        if corners is None:
            problems.append(Problem(start, end, complaints[0], cut=True, keep=phrase or ""))
            continue
        problems += [Problem(start, end, complaint) for complaint in complaints]

        if color and not known:
            problems.append(Problem(start, end, f"Unknown colour name {short_repr(color)} after a box."))
            color = None
        if color and ImageColor.getrgb(color) in colors_rgb:
            problems.append(Problem(start, end, f"Another box already has the colour {short_repr(color)}."))
            color = None
        if color:
            colors_rgb.add(ImageColor.getrgb(color))
        found.append(Found(start, end, phrase, Box(*corners), color, colorless))
    return found, problems


def _read_corners(text: str) -> tuple[tuple[int, int, int, int] | None, list[str]]:
    """The corners that `(x1,y1),(x2,y2)` means, fixed if possible (else None), and what is wrong with it.

    The published model sometimes writes the coordinate 1000, which means the edge, as 999 does.
    """
    if not _INSIDE.fullmatch(text):
        return None, [f"Expected (x1,y1),(x2,y2) between {BOX_START} and {BOX_END}."]
    complaints = []
    written = _ASCII_NUMBER.findall(unicodedata.normalize("NFKC", text).replace("\u2212", "-"))
    values = [float(number) for number in written]  # float, because it accepts any number of digits
    if any("." in number for number in written):
        complaints.append("Box coordinates must be whole numbers, thousandths of the picture.")
        if all(0 <= value <= 1 for value in values):
            return None, complaints
    if any(not 0 <= value <= GRID for value in values):
        complaints.append(f"Box coordinates must be in 0 to {GRID - 1}.")
    x1, y1, x2, y2 = (round(min(max(value, 0.0), GRID - 1.0)) for value in values)
    if x1 == x2 or y1 == y2:
        return None, [*complaints, "The box has no area."]
    if x1 > x2 or y1 > y2:
        complaints.append("The box has its corners swapped: expected top-left, then bottom-right.")
    return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), complaints


def render(text: str, found: Sequence[Found]) -> tuple[str, tuple[Region, ...]]:
    """The canonical text with the boxes found in `text`, and its regions."""
    free = iter(free_colors([item.color for item in found if item.color]))
    canonical = ""
    regions: list[Region] = []
    done = 0
    for item in found:
        begin = regions[-1].span[1] if regions else 0
        canonical += text[done : item.start]
        if item.phrase is None:
            phrase_start = _phrase_start(canonical, begin)
            phrase = canonical[phrase_start:].rstrip(SPACES)
            if phrase:
                canonical = canonical[:phrase_start] + phrase + " "
            else:
                phrase_start = len(canonical)
        else:
            phrase, phrase_start = item.phrase, len(canonical)
            unmarked = canonical + phrase
            # Markers are dropped where the phrase is parsed the same without them.
            if _phrase_start(unmarked, begin) == phrase_start and not _PHRASE_BOUNDARY.search(phrase):
                canonical = unmarked + " "
            else:
                canonical += f"{marked(phrase)} "
        color = item.color or next(free)
        canonical += box_markup(item.box, color)
        regions.append(Region(phrase, item.box, color, (phrase_start, len(canonical))))
        done = item.end
    return canonical + text[done:], tuple(regions)


def _phrase_start(text: str, begin: int) -> int:
    """Where in text[begin:] the phrase at its end begins.

    It extends back to the last boundary (punctuation, a bracket, a new line), and within that to the last
    determiner, or over four words if there is none.
    """
    for boundary in _PHRASE_BOUNDARY.finditer(text, begin):
        begin = boundary.end()
    words = list(_WORD.finditer(text, begin))
    determiners = [word.start() for word in words if word[0].lower() in DETERMINERS]
    if determiners:
        return determiners[-1]
    return words[-_WORDS_WITHOUT_DETERMINER:][0].start() if words else len(text)


def box_markup(box: Box, color: str) -> str:
    """A box in canonical notation, with its colour."""
    return f"{BOX_START}({box.x1},{box.y1}),({box.x2},{box.y2}){BOX_END} ({color})"


def marked(phrase: str) -> str:
    """The words between markers, so that they are parsed as exactly this phrase."""
    return f"{OBJECT_START}{phrase}{OBJECT_END}"


def unmarked(text: str) -> str:
    """A canonical text without phrase markers, which are not tokens of any published tokenizer."""
    return text.replace(OBJECT_START, "").replace(OBJECT_END, "")


def holds_markup(text: str) -> bool:
    """Whether a text holds a box or a special token."""
    return _MARKUP.search(text) is not None


def free_colors(taken: Sequence[str]) -> list[str]:
    """The mask colours that are distinguishable from all those taken."""
    taken_rgb = {ImageColor.getrgb(color) for color in taken}
    return [color for color in MASK_COLORS if ImageColor.getrgb(color) not in taken_rgb]


def without(text: str, cuts: Sequence[Problem]) -> str:
    """The text without the cuts, leaving no gaps, merged words or new markup where they were."""
    pieces = []
    done = 0
    for cut in cuts:
        pieces += [text[done : cut.start], cut.keep]
        done = cut.end
    pieces.append(text[done:])
    kept: list[str] = []
    end = ""  # of what is kept
    gap = False  # whether the text between `end` and the next piece was removed without a replacement
    for index, piece in enumerate(pieces):
        if index % 2 == 0 and pieces[index + 1 : index + 2] == [""]:
            piece = piece.rstrip(SPACES)
        if piece and not end and gap:
            piece = piece.lstrip(SPACES)
        if piece:
            seam = _seam(end, piece, gap) if end else ""
            kept += [seam, piece]
            end = (end + seam + piece)[-_LOOK_BACK:]
        gap = not piece and (gap or index % 2 == 1)
    return "".join(kept)


def _seam(before: str, after: str, gap: bool) -> str:
    """The separator for two pieces of text that would otherwise merge, or form a box or a token."""
    corners = before[len(before.rstrip(_CORNER_CHARACTERS)) :]
    inside = "(" in corners or "\uff08" in corners or len(corners) == _LOOK_BACK
    if inside and after.lstrip(_GAP_CHARACTERS)[:1] in tuple(_CORNER_CHARACTERS):
        return " … "
    if gap:
        return "" if before[-1] == "\n" or after[0] in _NO_GAP_BEFORE else " "
    return " " if _TOKEN_END.search(before) and _TOKEN_START.match(after) else ""


def _stray_token_message(token: str) -> str:
    if token in (BOX_START, BOX_END):
        return f"{token} without a readable box: expected {BOX_START}(x1,y1),(x2,y2){BOX_END}."
    if token in (OBJECT_START, OBJECT_END, REFERENCE_START, REFERENCE_END):
        return f"{token} that does not mark a phrase directly before a box."
    return f"The special token {short_repr(token)} is not allowed in a chain."
