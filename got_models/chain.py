"""The reasoning chain: prose in which every important object is followed by a box.

The text is the truth and the regions are a view of it. The text of a `ReasoningChain` is canonical: each box
stands as `phrase <|box_start|>(x1,y1),(x2,y2)<|box_end|> (color)`, the form that GoT-6B writes. Other forms
are understood and rewritten: the plain one of the datasets `(x1,y1),(x2,y2)`, the in-context one
`((x1, y1), (x2, y2))`, and GoT-R1's `<|obj_start|>phrase<|obj_end|>`, whose markers stay only where the
phrase would be another without them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import ImageColor

from .errors import GoTError

GRID = 1000  # boxes count in thousandths of the picture's width and height
MAX_REGIONS = 64
TASKS = ("generate", "edit")
JSON_VERSION = 1

BOX_START, BOX_END = "<|box_start|>", "<|box_end|>"
OBJECT_START, OBJECT_END = "<|obj_start|>", "<|obj_end|>"

MASK_COLORS = tuple(
    """red green blue yellow magenta cyan orange purple lime pink brown white teal gold violet olive
    salmon turquoise maroon skyblue gray springgreen chocolate royalblue khaki crimson orchid steelblue tomato
    yellowgreen indigo tan deeppink lavender forestgreen coral darkviolet aquamarine sienna hotpink dodgerblue
    goldenrod seagreen plum slateblue limegreen rosybrown beige deepskyblue firebrick lightgreen cadetblue
    mediumvioletred peru silver cornflowerblue olivedrab sandybrown thistle darkcyan indianred mediumpurple
    wheat powderblue""".split()  # noqa: SIM905
)
"""Colours for boxes that come without one, in this order: names Pillow knows, visible on a black mask."""

DETERMINERS = frozenset(
    """a an the one two three four five six seven eight nine ten his her its their this that these those
    some several many another""".split()  # noqa: SIM905
)

SPECIAL_TOKEN = re.compile(r"<\|[A-Za-z0-9_]+\|>|[\ud800-\udfff]")
"""What would break the token sequence: any special token, and half characters, which no tokenizer takes."""

# All the markup there can be. `plain` and `inside` hold one box; `special` is what is not part of one.
_GAP = r"[ \t\n]*"
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_CORNER = rf"\({_GAP}{_NUMBER}{_GAP},{_GAP}{_NUMBER}{_GAP}\)"
_CORNERS = rf"(?:{_CORNER}{_GAP},{_GAP}{_CORNER}|\({_GAP}{_CORNER}{_GAP},{_GAP}{_CORNER}{_GAP}\))"
_MARKUP = re.compile(
    rf"(?:<\|obj_start\|>[ \t]*(?P<phrase>[^<\n \t][^<\n]*)<\|obj_end\|>[ \t]*)?"
    rf"(?:<\|box_start\|>(?P<inside>[^<]{{0,40}})<\|box_end\|>|(?P<plain>{_CORNERS}))"
    rf"|(?P<special>{SPECIAL_TOKEN.pattern})"
)
_INSIDE = re.compile(rf"{_GAP}{_CORNERS}{_GAP}")
_COLOR = re.compile(r"[ \t]*\(([A-Za-z]+)\)")
_PHRASE_BOUNDARY = re.compile(r"[.,;:!?()\n]")
_WORD = re.compile(r"[^ \t]+")
_WORDS_WITHOUT_DETERMINER = 4


class ChainError(GoTError):
    """A reasoning chain that cannot be used. `position` is the character offset in its text, if known."""

    def __init__(self, message: str, position: int | None = None, excerpt: str = "") -> None:
        self.position = position
        super().__init__(message if position is None else f"{message} (character {position}: {excerpt!r})")


@dataclass(frozen=True)
class Box:
    """Top-left and bottom-right corner, whole numbers in [0, 999] of the picture's width and height.

    Raises:
        ChainError: a coordinate is no int or out of range, the corners are swapped, or the box has no area.
    """

    x1: int
    y1: int
    x2: int
    y2: int

    def __post_init__(self) -> None:
        corners = (self.x1, self.y1, self.x2, self.y2)
        if any(type(value) is not int for value in corners):
            raise ChainError(f"Box coordinates must be whole numbers, got {corners}.")
        if any(not 0 <= value < GRID for value in corners):
            raise ChainError(f"Box coordinates must lie in 0 to {GRID - 1}, got {corners}.")
        if self.x1 == self.x2 or self.y1 == self.y2:
            raise ChainError(f"The box has no area: {corners}. Give it two different corners.")
        if self.x1 > self.x2 or self.y1 > self.y2:
            raise ChainError(
                f"The box has its corners swapped: {corners}. Write top-left, then bottom-right."
            )

    @classmethod
    def from_pixels(
        cls, left: float, top: float, right: float, bottom: float, width: int, height: int
    ) -> Box:
        """The box nearest to a pixel rectangle of a width x height picture, kept inside the picture."""

        def span(low: float, high: float, size: int) -> tuple[int, int]:
            start = min(max(round(low * GRID / size), 0), GRID - 2)
            return start, min(max(round(high * GRID / size), start + 1), GRID - 1)

        (x1, x2), (y1, y2) = span(left, right, width), span(top, bottom, height)
        return cls(x1, y1, x2, y2)

    def to_pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in a width x height picture, right and bottom exclusive, never empty."""

        def span(low: int, high: int, size: int) -> tuple[int, int]:
            start = min((low * size + GRID // 2) // GRID, size - 1)
            return start, max((high * size + GRID // 2) // GRID, start + 1)

        (left, right), (top, bottom) = span(self.x1, self.x2, width), span(self.y1, self.y2, height)
        return left, top, right, bottom

    @property
    def center(self) -> tuple[float, float]:
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    @property
    def area(self) -> int:
        return (self.x2 - self.x1) * (self.y2 - self.y1)

    def iou(self, other: Box) -> float:
        """Intersection over union, in [0, 1]."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        intersection = max(width, 0) * max(height, 0)
        return intersection / (self.area + other.area - intersection)


@dataclass(frozen=True)
class Region:
    """One object of the chain. `span` is its range in the text, from the phrase to the end of `(color)`."""

    phrase: str
    box: Box
    color: str
    span: tuple[int, int]


@dataclass(frozen=True)
class ReasoningChain:
    """A plan for one picture. Make one with `parse` (a person's text) or `read` (a model's text)."""

    task: str
    prompt: str
    text: str
    regions: tuple[Region, ...]
    warnings: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, task: str, prompt: str) -> ReasoningChain:
        """Reads a chain strictly: anything doubtful is an error.

        Raises:
            ChainError: names the first place where the text cannot be used.
        """
        _check_task(task)
        found, problems = _scan(text)
        if problems:
            problem = problems[0]
            raise ChainError(problem.message, problem.start, _excerpt(text, problem.start, problem.end))
        return cls(task, prompt, *_render(text, found))

    @classmethod
    def read(cls, text: str, task: str, prompt: str) -> ReasoningChain:
        """Reads whatever a model wrote: what cannot be used is mended or left out, with a warning each."""
        _check_task(task)
        warnings: list[str] = []
        found, problems = _scan(text)
        while any(
            problem.cut for problem in problems
        ):  # what closes up around a cut may be markup in its turn
            cuts = [problem for problem in problems if problem.cut]
            warnings += [f"{cut.message} Left out: {_excerpt(text, cut.start, cut.end)!r}" for cut in cuts]
            for cut in reversed(cuts):
                text = _cut(text, cut.start, cut.end, cut.keep)
            found, problems = _scan(text)
        warnings += [f"{p.message} Mended: {_excerpt(text, p.start, p.end)!r}" for p in problems]
        return cls(task, prompt, *_render(text, found), tuple(warnings))

    def move_box(self, index: int, box: Box) -> ReasoningChain:
        """The same chain with one region in another place."""
        region = self._region(index)
        start = self.text.rindex(BOX_START, *region.span)
        return self._rewritten(self.text[:start] + _markup(box, region.color) + self.text[region.span[1] :])

    def rename(self, index: int, phrase: str) -> ReasoningChain:
        """The same chain with other words for one region.

        Raises:
            ChainError: the words would not be read back as exactly this phrase.
        """
        region = self._region(index)
        phrase = _checked_phrase(phrase)
        start, end = region.span[0], self.text.rindex(BOX_START, *region.span)
        marked = self.text.startswith(OBJECT_START, start)
        words = f"{OBJECT_START}{phrase}{OBJECT_END}" if marked else phrase
        before = self.text[:start]
        if before and before[-1] not in " \t\n(":
            before += " "
        regions = [*self.regions[:index], replace(region, phrase=phrase), *self.regions[index + 1 :]]
        return self._with_phrase(before + words + " " + self.text[end:], regions, index)

    def remove(self, index: int) -> ReasoningChain:
        """The same prose without one box. The words stay, so the next phrase may now begin among them."""
        region = self._region(index)
        start = self.text.rindex(BOX_START, *region.span)
        if self.text.startswith(OBJECT_START, region.span[0]):
            return self._rewritten(_cut(self.text, *region.span, region.phrase))
        return self._rewritten(_cut(self.text, start, region.span[1]))

    def add(self, phrase: str, box: Box) -> ReasoningChain:
        """The same chain with one more region at its end, in the next free colour.

        Raises:
            ChainError: the chain is full, or the words would not be read back as exactly this phrase.
        """
        if len(self.regions) == MAX_REGIONS:
            raise ChainError(f"A chain holds at most {MAX_REGIONS} boxes. Remove one first.")
        phrase = _checked_phrase(phrase)
        before = self.text.rstrip(" \t")
        sentence_end = "." if before == "" or before[-1] in ".!?\n" else ""
        if before and before[-1] != "\n":
            before += " " if before[-1] in ".,;:!?" else ", "
        color = _free_colors([region.color for region in self.regions])[0]
        regions = [*self.regions, Region(phrase, box, color, (0, 0))]
        text = f"{before}{phrase} {_markup(box, color)}{sentence_end}"
        return self._with_phrase(text, regions, len(self.regions))

    def to_json(self) -> dict[str, Any]:
        return {
            "version": JSON_VERSION,
            "task": self.task,
            "prompt": self.prompt,
            "text": self.text,
            "regions": [
                {"phrase": r.phrase, "box": [r.box.x1, r.box.y1, r.box.x2, r.box.y2], "color": r.color}
                for r in self.regions
            ],
        }

    @classmethod
    def from_json(cls, data: Any) -> ReasoningChain:
        """The inverse of `to_json`. The text is the truth; the regions must agree with it.

        Raises:
            ChainError: a newer version, a missing or mistyped entry, or regions that the text does not hold.
        """
        if not isinstance(data, dict):
            raise ChainError(f"A chain in JSON must be an object, got {type(data).__name__}.")
        version = data.get("version")
        if type(version) is not int or version < 1:
            raise ChainError(f'A chain in JSON needs "version": {JSON_VERSION}, got {version!r}.')
        if version > JSON_VERSION:
            raise ChainError(
                f"The chain has format version {version}, this program knows up to {JSON_VERSION}."
                " Use a newer version of the program."
            )
        for key in ("task", "prompt", "text"):
            if not isinstance(data.get(key), str):
                raise ChainError(f'A chain in JSON needs "{key}" as a string, got {data.get(key)!r:.60}.')
        if not isinstance(data.get("regions"), list):
            raise ChainError(f'A chain in JSON needs "regions" as a list, got {data.get("regions")!r:.60}.')
        chain = cls.parse(data["text"], data["task"], data["prompt"])
        stated = [_region_from_json(index, entry) for index, entry in enumerate(data["regions"])]
        if not _same_regions(chain.regions, stated):
            raise ChainError(
                f"The regions do not agree with the text, which is what counts: the text holds"
                f" {_describe(chain.regions)}, the regions are {_describe(stated)}. Change the text as well."
            )
        return chain

    @classmethod
    def load(cls, path: str | Path, task: str | None = None, prompt: str | None = None) -> ReasoningChain:
        """Reads chain.json, or any other file as the chain's bare text, which needs `task` and `prompt`.

        A `prompt` that is given takes the place of the one in a JSON file.

        Raises:
            ChainError: the file cannot be read, is no chain, or was written for another task.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
            data = json.loads(text) if path.suffix.lower() == ".json" else None
        except OSError as error:
            raise ChainError(f"Cannot read the chain {path}: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise ChainError(f"{path} is not a chain: expected UTF-8 text or JSON, got: {error}") from error
        if path.suffix.lower() != ".json":
            if task is None or prompt is None:
                raise ChainError(f"{path} holds only the chain's text: give its task and prompt as well.")
            return cls.parse(text, task, prompt)
        chain = cls.from_json(data)
        if task is not None and task != chain.task:
            raise ChainError(f"{path} was written for the task {chain.task!r}, but the task is {task!r}.")
        return chain if prompt is None else replace(chain, prompt=prompt)

    def _region(self, index: int) -> Region:
        if not 0 <= index < len(self.regions):
            raise ChainError(f"The chain has regions 0 to {len(self.regions) - 1}, got {index}.")
        return self.regions[index]

    def _rewritten(self, text: str) -> ReasoningChain:
        return replace(self.parse(text, self.task, self.prompt), warnings=self.warnings)

    def _with_phrase(self, text: str, regions: list[Region], index: int) -> ReasoningChain:
        """The chain of `text`, which must hold exactly `regions`; the words of region `index` are new."""
        chain = self._rewritten(text)
        if not _same_regions(chain.regions, regions):
            read_back = chain.regions[index].phrase
            raise ChainError(
                f"The phrase {regions[index].phrase!r} would be read back as {read_back!r}. Leave out"
                " . , ; : ! ? ( ) and begin with a word like 'a' or 'the', which may stand only there."
            )
        return chain


@dataclass(frozen=True)
class _Found:
    """One usable box as it stands in a text: [start, end) with its colour and, if marked, its phrase."""

    start: int
    end: int
    phrase: str | None
    box: Box
    color: str | None


@dataclass(frozen=True)
class _Problem:
    """What is wrong with [start, end); if it must be `cut`, `keep` stays in its place."""

    start: int
    end: int
    message: str
    cut: bool = False
    keep: str = ""


def _scan(text: str) -> tuple[list[_Found], list[_Problem]]:
    """All boxes of a text, mended where that is possible, and all that is wrong, both from left to right."""
    found: list[_Found] = []
    problems: list[_Problem] = []
    colors_rgb: set[tuple[int, ...]] = set()
    for match in _MARKUP.finditer(text):
        start, end = match.span()
        if match["special"]:
            problems.append(_Problem(start, end, _stray_token_message(match["special"]), cut=True))
            continue

        color_match = _COLOR.match(text, end)
        color = color_match[1].lower() if color_match else None
        known = color in ImageColor.colormap
        if color_match and (known or not match["plain"]):  # after a plain box a word in brackets may be prose
            end = color_match.end()
        else:
            color = None

        phrase = match["phrase"].rstrip(" \t") if match["phrase"] else None
        corners, complaints = _read_corners(match["plain"] or match["inside"])
        if corners and len(found) == MAX_REGIONS:
            corners, complaints = None, [f"A chain holds at most {MAX_REGIONS} boxes."]
        if corners is None:
            problems.append(_Problem(start, end, complaints[0], cut=True, keep=phrase or ""))
            continue
        problems += [_Problem(start, end, complaint) for complaint in complaints]

        if color and not known:
            problems.append(_Problem(start, end, f"Unknown colour name {color!r} after a box."))
            color = None
        if color and ImageColor.getrgb(color) in colors_rgb:
            problems.append(_Problem(start, end, f"Another box already has the colour {color!r}."))
            color = None
        if color:
            colors_rgb.add(ImageColor.getrgb(color))
        found.append(_Found(start, end, phrase, Box(*corners), color))
    return found, problems


def _read_corners(text: str) -> tuple[tuple[int, int, int, int] | None, list[str]]:
    """The corners that `(x1,y1),(x2,y2)` means, mended (None: beyond mending), and what is wrong with it."""
    if not _INSIDE.fullmatch(text):
        return None, [f"Expected (x1,y1),(x2,y2) between {BOX_START} and {BOX_END}."]
    complaints = []
    written = re.findall(_NUMBER, text)
    if any("." in number for number in written):
        complaints.append("Box coordinates must be whole numbers.")
    values = [float(number) for number in written]  # float, because it takes any number of digits
    if any(not 0 <= value < GRID for value in values):
        complaints.append(f"Box coordinates must lie in 0 to {GRID - 1}.")
    x1, y1, x2, y2 = (round(min(max(value, 0.0), GRID - 1.0)) for value in values)
    if x1 == x2 or y1 == y2:
        return None, [*complaints, "The box has no area."]
    if x1 > x2 or y1 > y2:
        complaints.append("The box has its corners swapped: expected top-left, then bottom-right.")
    return (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), complaints


def _render(text: str, found: list[_Found]) -> tuple[str, tuple[Region, ...]]:
    """The canonical text that holds the boxes found in `text`, and its regions."""
    free = iter(_free_colors([item.color for item in found if item.color]))
    canonical = ""
    regions: list[Region] = []
    done = 0
    for item in found:
        begin = regions[-1].span[1] if regions else 0
        canonical += text[done : item.start]
        if item.phrase is None:
            phrase_start = _phrase_start(canonical, begin)
            phrase = canonical[phrase_start:].rstrip(" \t")
            if phrase:
                canonical = canonical[:phrase_start] + phrase + " "
            else:
                phrase_start = len(canonical)
        else:
            phrase, phrase_start = item.phrase, len(canonical)
            unmarked = canonical + phrase
            # The markers go where the words alone say the same, and stay where they are needed.
            if _phrase_start(unmarked, begin) == phrase_start and not _PHRASE_BOUNDARY.search(phrase):
                canonical = unmarked + " "
            else:
                canonical += f"{OBJECT_START}{phrase}{OBJECT_END} "
        color = item.color or next(free)
        canonical += _markup(item.box, color)
        regions.append(Region(phrase, item.box, color, (phrase_start, len(canonical))))
        done = item.end
    return canonical + text[done:], tuple(regions)


def _phrase_start(text: str, begin: int) -> int:
    """Where in text[begin:] the phrase at its very end begins.

    It reaches back to the last boundary (punctuation, a bracket, a new line), and within that to the last
    determiner, or over four words if there is none.
    """
    for boundary in _PHRASE_BOUNDARY.finditer(text, begin):
        begin = boundary.end()
    words = list(_WORD.finditer(text, begin))
    determiners = [word.start() for word in words if word[0].lower() in DETERMINERS]
    if determiners:
        return determiners[-1]
    return words[-_WORDS_WITHOUT_DETERMINER:][0].start() if words else len(text)


def _markup(box: Box, color: str) -> str:
    return f"{BOX_START}({box.x1},{box.y1}),({box.x2},{box.y2}){BOX_END} ({color})"


def _free_colors(taken: list[str]) -> list[str]:
    """The mask colours that look like none of those taken."""
    taken_rgb = {ImageColor.getrgb(color) for color in taken}
    return [color for color in MASK_COLORS if ImageColor.getrgb(color) not in taken_rgb]


def _cut(text: str, start: int, end: int, keep: str = "") -> str:
    """The text with [start, end) replaced by `keep`, and no gap or glued words where nothing is kept."""
    before, after = text[:start], text[end:]
    if keep:
        return before + keep + after
    before = before.rstrip(" \t")
    if not before:
        return after.lstrip(" \t")
    glued = after and before[-1] != "\n" and after[0] not in " \t\n.,;:!?)"
    return before + " " + after if glued else before + after


def _stray_token_message(token: str) -> str:
    if token in (BOX_START, BOX_END):
        return f"{token} without a readable box: expected {BOX_START}(x1,y1),(x2,y2){BOX_END}."
    if token in (OBJECT_START, OBJECT_END):
        return f"{token} that does not mark a phrase directly before a box."
    return f"The special token {token!r} may not stand in a chain."


def _excerpt(text: str, start: int, end: int) -> str:
    return text[start:end] if end - start <= 60 else text[start : start + 60] + "..."


def _checked_phrase(phrase: str) -> str:
    phrase = phrase.strip()
    if not phrase:
        raise ChainError("The phrase is empty. Give the region a few words.")
    if "\n" in phrase or "<|" in phrase or "|>" in phrase:
        raise ChainError(f"A phrase may not hold line breaks or markup, got {phrase!r:.80}.")
    return phrase


def _check_task(task: str) -> None:
    if task not in TASKS:
        raise ChainError(f"Unknown task {task!r}: expected one of {', '.join(TASKS)}.")


def _region_from_json(index: int, entry: object) -> Region:
    if not isinstance(entry, dict) or not {"phrase", "box", "color"} <= entry.keys():
        raise ChainError(f'Region {index} needs "phrase", "box" and "color", got {entry!r:.80}.')
    box = entry["box"]
    if not isinstance(box, list) or len(box) != 4:
        raise ChainError(f"The box of region {index} must be [x1, y1, x2, y2], got {box!r:.80}.")
    return Region(entry["phrase"], Box(*box), entry["color"], (0, 0))


def _same_regions(first: tuple[Region, ...], second: list[Region]) -> bool:
    """Whether two chains hold the same regions, wherever those stand in the text."""
    return [(r.phrase, r.box, r.color) for r in first] == [(r.phrase, r.box, r.color) for r in second]


def _describe(regions: tuple[Region, ...] | list[Region]) -> str:
    listed = [f"{r.phrase!r} ({r.box.x1},{r.box.y1}),({r.box.x2},{r.box.y2}) {r.color}" for r in regions[:3]]
    return f"{len(regions)} ({'; '.join(listed)}{'; ...' if len(regions) > 3 else ''})"
