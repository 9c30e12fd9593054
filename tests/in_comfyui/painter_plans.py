"""The plans that the painter draws, and two judges of whether each object is in its region.

Both judges read pixels only. Pairs of colour and shape that training never showed are left out: this is about
places.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from got_models.chain.chain import Box
from tiny_model.world.found_objects import (
    MIN_AREA,
    bounds,
    classify,
    find_objects,
    intersection_over_union,
    recognise_shape,
)
from tiny_model.world.language import name, random_pair
from tiny_model.world.layouts import apart
from tiny_model.world.scene import BACKGROUNDS, COLORS, PICTURE_SIZE

NARROWEST, WIDEST = 48, 58
"""Sides of the regions, in pixels: as an artist draws them, around things of 36 to 46 pixels."""
MOST_SHARED = 0.15
"""Intersection over union of a region with itself after its move, at most."""
INSIDE = 0.75
"""The share of a thing's pixels that must be in its region."""

Pair = tuple[str, str]
Pixels = tuple[int, int, int, int]


@dataclass(frozen=True)
class PainterPlan:
    """Two things of different colours, (colour, shape), and the regions (left, top, right, bottom)."""

    background: str
    things: tuple[Pair, Pair]
    regions: tuple[Pixels, Pixels]
    seed: int

    @property
    def prompt(self) -> str:
        one, other = (name(*pair) for pair in self.things)
        return f"{one} and {other} on a {self.background} background"

    @property
    def text(self) -> str:
        """The chain, as an artist writes it."""
        one, other = (
            f"{name(*pair)} ({box.x1},{box.y1}),({box.x2},{box.y2})"
            for pair, box in zip(self.things, self.boxes, strict=True)
        )
        return f"There is {one} and {other} on a {self.background} background."

    @property
    def boxes(self) -> list[Box]:
        return [Box.from_pixels(*region, PICTURE_SIZE, PICTURE_SIZE) for region in self.regions]

    def moved(self) -> PainterPlan:
        """The same with the first region elsewhere."""
        rng = random.Random(f"moved {self.seed}")
        before, other = self.regions
        while True:
            region = random_region(rng)
            if clear(region, other) and intersection_over_union(region, before) < MOST_SHARED:
                return replace(self, regions=(region, other))


def sample_plans(series: str, count: int) -> list[PainterPlan]:
    """The first plans of a series, such as "proof"."""
    return [sample_plan(random.Random(f"{series} {number}")) for number in range(count)]


def sample_plan(rng: random.Random) -> PainterPlan:
    while True:
        one, other = random_pair(rng), random_pair(rng)
        regions = random_region(rng), random_region(rng)
        if one[0] != other[0] and clear(*regions):
            return PainterPlan(rng.choice(list(BACKGROUNDS)), (one, other), regions, rng.getrandbits(32))


def random_region(rng: random.Random) -> Pixels:
    width, height = (rng.randint(NARROWEST, WIDEST) for _ in range(2))
    left, top = rng.randint(0, PICTURE_SIZE - width), rng.randint(0, PICTURE_SIZE - height)
    return left, top, left + width, top + height


def clear(one: Pixels, other: Pixels) -> bool:
    boxes = [(left, top, right - left, bottom - top) for left, top, right, bottom in (one, other)]
    return apart(*boxes, 0)


# --- judges: one verdict for each thing of a plan ---------------------------------------------------


def by_color(picture: Image.Image, plan: PainterPlan) -> list[bool]:
    """Whether the pixels of the thing's colour, anywhere in the picture, are in its region and of its shape.

    Of the region's coloured pixels, most must be of this colour.
    """
    classes = classify(picture)
    verdicts = []
    for (color, shape), (left, top, right, bottom) in zip(plan.things, plan.regions, strict=True):
        mask = classes == list(COLORS).index(color)
        inside, there = np.zeros_like(mask), classes[top:bottom, left:right]
        inside[top:bottom, left:right] = mask[top:bottom, left:right]
        area = int(inside.sum())
        verdicts.append(
            area >= max(MIN_AREA, INSIDE * mask.sum(), 0.5 * (there < len(COLORS)).sum())
            and shape_of(inside) == shape
        )
    return verdicts


def shape_of(mask: np.ndarray) -> str:
    left, top, right, bottom = bounds(mask)
    return recognise_shape(mask[top:bottom, left:right])


def by_objects(picture: Image.Image, plan: PainterPlan) -> list[bool]:
    """Whether a region holds one object that is the right one, and holds it nearly whole."""
    found = find_objects(picture)
    verdicts = []
    for pair, region in zip(plan.things, plan.regions, strict=True):
        here = [patch for patch in found if centered(patch.box, region)]
        verdicts.append(
            len(here) == 1
            and (here[0].color, here[0].shape) == pair
            and share_inside(here[0].mask, here[0].box, region) >= INSIDE
        )
    return verdicts


def centered(box: Pixels, region: Pixels) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return region[0] <= x < region[2] and region[1] <= y < region[3]


def share_inside(mask: np.ndarray, box: Pixels, region: Pixels) -> float:
    """The share of a patch's pixels that are in the region."""
    left, top = (max(0, region[axis] - box[axis]) for axis in (0, 1))
    right, bottom = (max(0, region[axis + 2] - box[axis]) for axis in (0, 1))
    return float(mask[top:bottom, left:right].sum() / mask.sum())


JUDGES = {"by colour": by_color, "by objects": by_objects}


def share_right(judge: str, pictures: Sequence[Image.Image], plans: Sequence[PainterPlan]) -> float:
    """The share of things that are in their regions."""
    verdicts = [JUDGES[judge](picture, plan) for picture, plan in zip(pictures, plans, strict=True)]
    return float(np.mean(verdicts))
