"""Where an object is: a box on the picture's grid, and the phrase that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import GoTError, short_repr
from .characters import SPACES, clean
from .details import PLAIN, Detail, Stated, matched

GRID = 1000  # boxes are in thousandths of the picture's width and height


class ChainError(GoTError):
    """An invalid reasoning chain. `position` is the character offset in its text, if known."""

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
        received = short_repr(corners)
        if any(type(value) is not int for value in corners):
            raise ChainError(f"Box coordinates must be whole numbers, got {received}.")
        if any(not 0 <= value < GRID for value in corners):
            raise ChainError(f"Box coordinates must be in 0 to {GRID - 1}, got {received}.")
        if self.x1 == self.x2 or self.y1 == self.y2:
            raise ChainError(f"The box has no area: {received}. Give it two different corners.")
        if self.x1 > self.x2 or self.y1 > self.y2:
            raise ChainError(
                f"The box has its corners swapped: {received}. Write top-left, then bottom-right."
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

    def is_read_before(self, other: Box) -> bool:
        """Whether this box comes first in reading order, left to right and top to bottom."""
        if self.center[1] < other.y1 or other.center[1] > self.y2:
            return True
        if other.center[1] < self.y1 or self.center[1] > other.y2:
            return False
        return self.center[0] < other.center[0]

    def shared_area(self, other: Box) -> int:
        """The area of the intersection."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        return max(width, 0) * max(height, 0)

    def iou(self, other: Box) -> float:
        """Intersection over union, in [0, 1]."""
        intersection = self.shared_area(other)
        return intersection / (self.area + other.area - intersection)


@dataclass(frozen=True)
class Region:
    """One object of the chain. `span` is its range in the text, from the phrase to the end of `(color)`.

    `detail` is what it says besides, which the text does not hold. The phrase is normalized to clean form
    without surrounding spaces, so that any region can be parsed back.

    Raises:
        ChainError: the phrase or the colour is not text, or the box is not a `Box`.
    """

    phrase: str
    box: Box
    color: str
    span: tuple[int, int]
    detail: Detail = PLAIN

    def __post_init__(self) -> None:
        if not isinstance(self.phrase, str):
            raise ChainError(f"A region's phrase must be text, got {short_repr(self.phrase)}.")
        if not isinstance(self.box, Box):
            raise ChainError(f"A region's box must be a Box, got {short_repr(self.box)}.")
        if not isinstance(self.color, str):
            raise ChainError(f"A region's colour must be text, got {short_repr(self.color)}.")
        object.__setattr__(self, "phrase", clean(self.phrase).strip(f"{SPACES}\n"))


def with_details(regions: Sequence[Region], stated: Sequence[Stated]) -> tuple[Region, ...]:
    """The regions with the details that are theirs."""
    details = matched(stated, [(region.color, region.phrase) for region in regions])
    return tuple(replace(region, detail=detail) for region, detail in zip(regions, details, strict=True))


def stated_details(regions: Sequence[Region]) -> list[Stated]:
    """The details of the regions, also of those that say nothing."""
    return [Stated(region.color, region.phrase, region.detail) for region in regions]


def region_from_json(index: int, entry: Any) -> Region:
    """The region that an entry of a chain in JSON states, without its place in the text.

    Raises:
        ChainError: a missing or mistyped entry.
    """
    if not isinstance(entry, dict) or not {"phrase", "box", "color"} <= entry.keys():
        raise ChainError(f'Region {index} needs "phrase", "box" and "color", got {short_repr(entry)}.')
    box = entry["box"]
    if not isinstance(box, list) or len(box) != 4:
        raise ChainError(f"The box of region {index} must be [x1, y1, x2, y2], got {short_repr(box)}.")
    corners = (GRID - 1 if type(value) is int and value == GRID else value for value in box)
    return Region(entry["phrase"], Box(*corners), entry["color"], (0, 0))
