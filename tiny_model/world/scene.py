"""Scenes of one to four flat shapes on a plain background, and how they are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from got_models.chain.chain import Box

PICTURE_SIZE = 128
SUPERSAMPLING = 4

SHAPES = ("circle", "square", "triangle", "star")
COLORS = {
    "red": (230, 25, 25),
    "green": (40, 170, 50),
    "blue": (40, 70, 230),
    "yellow": (250, 220, 30),
    "purple": (140, 40, 190),
    "orange": (250, 130, 20),
    "cyan": (40, 210, 220),
    "pink": (250, 130, 190),
}
BACKGROUNDS = {
    "white": (255, 255, 255),
    "light gray": (190, 190, 190),
    "dark gray": (90, 90, 90),
    "black": (0, 0, 0),
}
SIZES = {"small": 32, "medium": 40, "large": 48}
STAR_DEPTH = 0.5

NEW_SHAPE, NEW_COLOR = "cross", "brown"
"""Things that the bundled model has never seen, taught by ``lesson``."""
ALL_SHAPES = (*SHAPES, NEW_SHAPE)
ALL_COLORS = COLORS | {NEW_COLOR: (150, 80, 20)}

HELD_OUT_PAIRS = frozenset({("purple", "star"), ("cyan", "square"), ("orange", "triangle")})
"""Colour and shape pairs held out from training, so that evaluation tests composition and not memory."""


RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Thing:
    """One shape. ``left``, ``top``, ``width`` and ``height`` are pixels of a 128 x 128 picture.

    ``paint``: the colour that it is drawn in; None for its colour's own.
    """

    shape: str
    color: str
    left: int
    top: int
    width: int
    height: int
    paint: RGB | None = None

    @classmethod
    def of_size(cls, shape: str, color: str, size: str, left: int, top: int) -> Thing:
        """A thing as wide and as high as the size of this name."""
        return cls(shape, color, left, top, SIZES[size], SIZES[size])

    @property
    def size(self) -> str:
        """The name of the size nearest to its mean side."""
        side = (self.width + self.height) / 2
        return min(SIZES, key=lambda size: abs(SIZES[size] - side))

    @property
    def rgb(self) -> RGB:
        """The colour that it is drawn in."""
        return ALL_COLORS[self.color] if self.paint is None else self.paint

    @property
    def pixel_box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in pixels; right and bottom are exclusive."""
        return (self.left, self.top, self.left + self.width, self.top + self.height)

    @property
    def center(self) -> tuple[float, float]:
        """The middle of its box in pixels, from the left and from the top."""
        return (self.left + self.width / 2, self.top + self.height / 2)

    @property
    def box(self) -> Box:
        """The same box on the chain's grid of [0, 1000)."""
        return Box.from_pixels(*self.pixel_box, PICTURE_SIZE, PICTURE_SIZE)

    @property
    def pair(self) -> tuple[str, str]:
        """Colour and shape."""
        return (self.color, self.shape)


@dataclass(frozen=True)
class Scene:
    """A background name and the things on it, drawn in this order. ``paint`` as for a thing."""

    background: str
    things: tuple[Thing, ...]
    paint: RGB | None = None

    @property
    def rgb(self) -> RGB:
        """The colour that the background is drawn in."""
        return BACKGROUNDS[self.background] if self.paint is None else self.paint


def outline(
    shape: str, box: tuple[float, float, float, float], star_depth: float = STAR_DEPTH
) -> list[tuple[float, float]]:
    """The corner points of a square, triangle, star or cross that fills a box (left, top, right, bottom).

    ``star_depth``: the distance of a star's inner corners from its middle, where its tips have 1.
    """
    left, top, right, bottom = box
    if shape == "square":
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    if shape == "triangle":
        return [((left + right) / 2, top), (right, bottom), (left, bottom)]
    if shape == "cross":
        columns, rows = (1, 2, 2, 3, 3, 2, 2, 1, 1, 0, 0, 1), (0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 1, 1)
        width, height = (right - left) / 3, (bottom - top) / 3
        return [(left + x * width, top + y * height) for x, y in zip(columns, rows, strict=True)]
    angles = [math.pi * (index / 5 - 0.5) for index in range(10)]
    radii = [1.0 if index % 2 == 0 else star_depth for index in range(10)]
    points = [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    return [
        (
            left + (x - low_x) / (high_x - low_x) * (right - left),
            top + (y - low_y) / (high_y - low_y) * (bottom - top),
        )
        for x, y in points
    ]


def draw_shape(
    canvas: ImageDraw.ImageDraw,
    shape: str,
    box: tuple[float, float, float, float],
    fill: RGB | int,
    star_depth: float = STAR_DEPTH,
) -> None:
    """Draws one filled shape that touches all four sides of ``box``."""
    left, top, right, bottom = box
    inside = (left, top, right - 1, bottom - 1)
    if shape == "circle":
        canvas.ellipse(inside, fill=fill)
    else:
        canvas.polygon(outline(shape, inside, star_depth), fill=fill)


def draw(scene: Scene, size: int = PICTURE_SIZE) -> Image.Image:
    """The scene as an RGB picture of ``size`` x ``size`` pixels, with smooth edges."""
    return draw_finely(scene, SUPERSAMPLING * size).resize((size, size), Image.Resampling.BOX)


def draw_finely(scene: Scene, side: int, star_depth: float = STAR_DEPTH) -> Image.Image:
    """The scene as an RGB picture of ``side`` x ``side`` pixels, each of one colour."""
    scale = side / PICTURE_SIZE
    picture = Image.new("RGB", (side, side), scene.rgb)
    canvas = ImageDraw.Draw(picture)
    for thing in scene.things:
        left, top, right, bottom = (edge * scale for edge in thing.pixel_box)
        draw_shape(canvas, thing.shape, (left, top, right, bottom), thing.rgb, star_depth)
    return picture
