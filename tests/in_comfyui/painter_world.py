"""Pictures and captions that the painter learns from.

A caption names all kinds of things; one that names none is of an empty picture, as a photograph of a meadow
is. Many pictures hold several things of one kind.
"""

from __future__ import annotations

import random

from tiny_model.world.language import name, random_pair
from tiny_model.world.layouts import apart
from tiny_model.world.scene import BACKGROUNDS, Scene, Thing

SMALLEST, LARGEST = 36, 46
"""Sides of things, in pixels."""
GAP = 4
SIZES = ((128, 128), (64, 64), (128, 64), (64, 128), (96, 96))
"""Widths and heights of pictures, in buckets as SDXL learned them: what a region shows is nothing new."""
AREA_OF_ONE = 64 * 64
"""Of a picture's pixels: there is room for one thing."""
EMPTY, ALIKE, FULL = 0.2, 0.5, 0.6
"""Shares of pictures: without things; with things of one kind; with as many things as there is room for."""


def sample(rng: random.Random, width: int, height: int) -> tuple[Scene, str]:
    """A picture, whose things are in its upper left `width` x `height` pixels, and its caption."""
    background = rng.choice(list(BACKGROUNDS))
    if rng.random() < EMPTY:
        return Scene(background, ()), caption(rng, [], background)
    most = width * height // AREA_OF_ONE
    boxes = free_boxes(rng, most if rng.random() < FULL else rng.randint(1, most), width, height)
    alike = rng.random() < ALIKE
    pairs = [random_pair(rng)] * len(boxes) if alike else [random_pair(rng) for _ in boxes]
    things = [Thing(shape, color, *box) for (color, shape), box in zip(pairs, boxes, strict=True)]
    named = list(dict.fromkeys(pairs))
    rng.shuffle(named)
    return Scene(background, tuple(things)), caption(rng, named, background)


def caption(rng: random.Random, named: list[tuple[str, str]], background: str) -> str:
    """Such as "a red circle and a blue star on a white background", "a red circle", "a white background"."""
    subject = rng.choice((" and ", ", ")).join(name(*pair) for pair in named)
    if not subject:
        return rng.choice(("", "on ")) + f"a {background} background"
    return subject + (f" on a {background} background" if rng.random() < 0.6 else "")


def free_boxes(rng: random.Random, count: int, width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Up to this many square boxes (left, top, width, height), apart from each other."""
    boxes: list[tuple[int, int, int, int]] = []
    for _ in range(30 * count):
        side = rng.randint(SMALLEST, LARGEST)
        left, top = rng.randint(0, width - side), rng.randint(0, height - side)
        if all(apart((left, top, side, side), other, GAP) for other in boxes):
            boxes.append((left, top, side, side))
        if len(boxes) == count:
            break
    return boxes
