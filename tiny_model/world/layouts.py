"""Where the things of a source picture stand."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .language import GRID_STEP, QUADRANTS, Cell, cells_for, place, random_pair
from .scene import BACKGROUNDS, PICTURE_SIZE, SIZES, Scene, Thing

LAYOUTS = ("quarters", "generated", "anywhere")
"""One thing to a quarter; as in a generated picture, where only the centres have quarters of their own; or at
any pixel, in any size, touching the picture's edge and nearly each other."""

SMALLEST, LARGEST = 18, 60
"""Sides of things that stand anywhere, in pixels."""
PROPORTIONS = {"circle": (1.0, 1.0), "square": (1.0, 1.0), "triangle": (0.84, 1.0), "star": (0.92, 1.0)}
"""Height by width of things that stand anywhere; other programs' triangles are lower than wide."""
GAPS = (1, 2, 2, 3, 5, 8)
"""Pixels that things which stand anywhere leave between their boxes, at least."""


def sample_source(rng: random.Random, layout: str = "quarters", repeat: float = 0.0) -> Scene:
    """A scene of one to three things of different colour and shape; anywhere, one to four.

    Args:
        layout: one of `LAYOUTS`.
        repeat: the share of things that may look like another one.
    """
    background = rng.choice(list(BACKGROUNDS))
    things: list[Thing] = []
    if layout == "anywhere":
        boxes = free_boxes(rng, rng.choice((1, 2, 2, 3, 3, 3, 4)))
        for left, top, width, height in boxes:
            color, shape = new_pair(rng, things, repeat)
            height = max(SMALLEST - 3, round(height * rng.uniform(*PROPORTIONS[shape])))
            things.append(Thing(shape, color, left, top, width, height))
    else:
        count = rng.randint(1, 3)
        cells = rng.sample(QUADRANTS, count) if layout == "quarters" else cells_for(rng, count, None)
        for cell in cells:
            color, shape = new_pair(rng, things, repeat)
            size = rng.choice(list(SIZES))
            things.append(Thing.of_size(shape, color, size, *place(rng, size, cell)))
    return Scene(background, from_left(things))


def new_pair(rng: random.Random, things: Sequence[Thing], repeat: float) -> tuple[str, str]:
    """A colour and a shape that none of the things has, or, with this probability, any."""
    pair = random_pair(rng)
    if rng.random() >= repeat:
        while pair in {thing.pair for thing in things}:
            pair = random_pair(rng)
    return pair


def from_left(things: Sequence[Thing]) -> tuple[Thing, ...]:
    """The things in the order in which a picture is described: by their centres, from the left."""
    return tuple(sorted(things, key=lambda thing: thing.center))


def free_boxes(rng: random.Random, count: int) -> list[tuple[int, int, int, int]]:
    """Square boxes (left, top, width, height) at any pixel, apart from each other."""
    while True:
        boxes: list[tuple[int, int, int, int]] = []
        gap = rng.choice(GAPS)
        largest = rng.randint(2 * SMALLEST, LARGEST)
        for _ in range(count):
            side = rng.randint(SMALLEST, largest)
            for _ in range(20):
                left, top = (free_edge(rng, PICTURE_SIZE - side) for _ in range(2))
                if all(apart((left, top, side, side), other, gap) for other in boxes):
                    boxes.append((left, top, side, side))
                    break
        if len(boxes) == count:
            return boxes


def free_edge(rng: random.Random, most: int) -> int:
    """Any pixel up to ``most``, and more often than by chance one of the picture's edges."""
    return rng.choice((0, most)) if rng.random() < 0.08 else rng.randint(0, most)


def apart(first: tuple[int, ...], second: tuple[int, ...], gap: int) -> bool:
    """Whether two boxes (left, top, width, height) have this many pixels between them."""
    return any(
        first[axis] + first[axis + 2] + gap <= second[axis]
        or second[axis] + second[axis + 2] + gap <= first[axis]
        for axis in (0, 1)
    )


def free_place(
    rng: random.Random,
    width: int,
    height: int,
    cell: Cell,
    taken: Sequence[tuple[int, int, int, int]],
    step: int = 1,
) -> tuple[int, int] | None:
    """Left and top of a box whose centre is in ``cell`` and which is clear of ``taken``.

    The roomiest of some random places; None if none of them is free.

    Args:
        taken: left, top, width and height of other boxes.
        step: multiples of this many pixels: 1, or `GRID_STEP`.
    """
    left, top, right, bottom = cell
    most_left, most_top = max(left, right - GRID_STEP - width), max(top, bottom - GRID_STEP - height)
    best, room = None, 0
    for _ in range(24):
        x, y = rng.randrange(left, most_left + 1, step), rng.randrange(top, most_top + 1, step)
        gap = next((gap for gap in (8, 5, 3) if all(apart((x, y, width, height), t, gap) for t in taken)), 0)
        if gap > room:
            best, room = (x, y), gap
        if room == 8:
            break
    return best
