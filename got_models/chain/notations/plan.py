"""What all notations have in common: objects with words and a position, and the prose around them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import GoTError, short_repr
from ...notes import Note
from ..details import PLAIN, Detail
from ..region import GRID, Box

KINDS = ("obj", "text")
MAX_TEXT = 300_000  # characters of a plan from outside
Corners = tuple[float, float, float, float]


@dataclass(frozen=True)
class Element:
    """One object in the picture.

    Attributes:
        phrase: its words; empty where the notation gave none.
        box: x1, y1, x2, y2 as fractions of width and height, top-left, bottom-right; None: it has no place.
        kind: "obj", or "text" for lettering.
        text: what the lettering says, literally.
        palette: its colours, such as "#FF8800".
        detail: what only a chain's own boxes say: their order, their strength, and whether they are drawn.
        span: the span of its words in the plan's prose, if that mentions it.

    Raises:
        GoTError: a coordinate outside 0 to 1, a box without area, or another kind.
    """

    phrase: str
    box: Corners | None
    kind: str = "obj"
    text: str = ""
    palette: tuple[str, ...] = ()
    span: tuple[int, int] | None = None
    detail: Detail = PLAIN

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise GoTError(f"An element is one of {', '.join(KINDS)}, got {short_repr(self.kind)}.")
        if self.box is None:
            return
        if len(self.box) != 4 or not all(0 <= value <= 1 for value in self.box):
            raise GoTError(f"A box holds four fractions from 0 to 1, got {short_repr(self.box)}.")
        if self.box[0] >= self.box[2] or self.box[1] >= self.box[3]:
            raise GoTError(f"A box goes from top-left to bottom-right, got {short_repr(self.box)}.")

    @property
    def grid_box(self) -> Box | None:
        """The box on the grid of a chain."""
        return Box.from_pixels(*self.box, 1, 1) if self.box else None


@dataclass(frozen=True)
class LayoutPlan:
    """A notation-independent plan.

    Attributes:
        elements: in the plan's order.
        prose: text that describes the picture and may name the elements.
        prompt: the sentence that the plan is for, if the notation holds it.
        notes: what was dropped, fixed or assumed when it was parsed, in sentences for people.
    """

    elements: tuple[Element, ...]
    prose: str = ""
    prompt: str = ""
    notes: tuple[str, ...] = ()


class Gathering:
    """Collects the elements of a plan in reading order. What cannot be kept is noted."""

    def __init__(self) -> None:
        self.elements: list[Element] = []
        self.notes: list[str] = []
        self._named: dict[tuple[str, tuple[tuple[str, str], ...]], list[str]] = {}

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def about(self, key: str, name: str, **values: str) -> None:
        """Adds a note on one element by its key; elements with the same note share a sentence."""
        self._named.setdefault((key, tuple(values.items())), []).append(name)

    def add(
        self,
        phrase: str,
        corners: Sequence[float] | None,
        kind: str = "obj",
        text: str = "",
        palette: Sequence[str] = (),
        span: tuple[int, int] | None = None,
    ) -> None:
        """Adds an element whose corners, as fractions, may be out of range and in any order."""
        name = short_repr(phrase or text) if phrase or text else f"box {len(self.elements) + 1}"
        box = self._inside(name, corners) if corners is not None else None
        if box is None and not (phrase or text):
            self.about("nothing_usable", name)
            return
        kind = kind if kind in KINDS else "obj"
        self.elements.append(Element(phrase, box, kind, text, tuple(palette), span))

    def _inside(self, name: str, corners: Sequence[float]) -> Corners | None:
        """The corners in order and clipped to the picture; None if no area is left."""
        if not all(math.isfinite(value) for value in corners):
            self.about("not_finite", name)
            return None
        x1, y1, x2, y2 = corners
        if x1 > x2 or y1 > y2:
            self.about("swapped_corners", name)
        x1, x2, y1, y2 = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
        if x1 == x2 or y1 == y2:
            self.about("no_area", name)
            return None
        inside = (max(x1, 0.0), max(y1, 0.0), min(x2, 1.0), min(y2, 1.0))
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            self.about("outside", name)
            return None
        if max(abs(a - b) for a, b in zip(inside, (x1, y1, x2, y2), strict=True)) > 1 / GRID:
            self.about("cut_at_the_edge", name)
        return inside

    def plan(self, prose: str = "", prompt: str = "") -> LayoutPlan:
        named = [
            Note(key, names=listed(names), **dict(values)) for (key, values), names in self._named.items()
        ]
        return LayoutPlan(tuple(self.elements), prose, prompt, (*self.notes, *named))


def listed(names: Sequence[str], most: int = 5) -> dict[str, str]:
    """The first names, and a count of the rest, by language."""
    more = len(names) - most
    return {
        "en": ", ".join(names[:most]) + (f" and {more} more" if more > 0 else ""),
        "zh": "\u3001".join(names[:most]) + (f" \u7b49\u53e6\u5916 {more} \u4e2a" if more > 0 else ""),
    }
