"""Whether a plan matches its caption, and whether a picture matches its plan.

Everything here reads pixels, boxes and the words of a plan; nothing is taken from the model that generated
them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from PIL import Image

from got_models.chain.chain import GRID, Box, ReasoningChain
from got_models.errors import GoTError

from .edits import quadrant_of
from .found_objects import (
    Found,
    PixelBox,
    classify,
    components,
    find_background,
    find_objects,
    intersection_over_union,
    shape_template,
)
from .language import QUADRANTS, Example, Relation, Request, Wanted
from .scene import ALL_COLORS, ALL_SHAPES, PICTURE_SIZE, SIZES, Thing

FOUND_IOU = 0.5
HIGHEST_PSNR = 100.0
"""Decibels given to identical pictures, so that figures stay finite."""
Expected = tuple[str, str, Box]
"""The colour, the shape and the box that an object should have."""


# --- pictures -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ObjectScore:
    """The score of one expected object: ``iou`` with the best patch of its own colour, and that patch."""

    iou: float
    patch: Found | None
    shape_right: bool

    @property
    def found(self) -> bool:
        """In its own colour, and with an intersection over union of at least one half with its box."""
        return self.iou >= FOUND_IOU


@dataclass(frozen=True)
class PictureScore:
    """``objects`` in the expected order; ``extra`` patches that belong to none of them."""

    objects: tuple[ObjectScore, ...]
    extra: tuple[Found, ...]
    background: str | None

    @property
    def all_right(self) -> bool:
        """Every object found with its shape, and nothing else there."""
        return all(score.found and score.shape_right for score in self.objects) and not self.extra


def score_picture(picture: Image.Image, expected: Sequence[Expected]) -> PictureScore:
    """Looks for every expected object at its box. A shape counts as right only if the object was found."""
    patches = find_objects(picture)
    unclaimed = list(range(len(patches)))
    scores = []
    for color, shape, box in expected:
        place = box.to_pixels(picture.width, picture.height)
        overlaps = {
            index: intersection_over_union(patches[index].box, place)
            for index in unclaimed
            if patches[index].color == color
        }
        best = max(overlaps, key=lambda index: overlaps[index], default=None)
        if best is None or overlaps[best] < FOUND_IOU:
            scores.append(ObjectScore(0.0 if best is None else overlaps[best], None, False))
            continue
        unclaimed.remove(best)
        scores.append(ObjectScore(overlaps[best], patches[best], patches[best].shape == shape))
    return PictureScore(tuple(scores), tuple(patches[index] for index in unclaimed), find_background(picture))


def drawn_in_box(picture: Image.Image, color: str, shape: str, box: Box) -> bool:
    """Whether the pixels of a colour in a box have this shape, fill the box and have no other shape.

    Includes the new colour and shape. The pixels of the colour in the box, and those outside that are
    connected with them, must have an intersection over union of at least one half with the shape drawn to
    fill the box, and a smaller one with every other shape.
    """
    left, top, right, bottom = box.to_pixels(picture.width, picture.height)
    place = np.s_[top:bottom, left:right]
    colored = classify(picture, ALL_COLORS) == list(ALL_COLORS).index(color)
    painted = np.zeros_like(colored)
    for part in components(colored):
        if part[place].any():
            painted |= part

    def overlap(shape: str) -> float:
        ideal = np.zeros_like(painted)
        ideal[place] = shape_template(shape, right - left, bottom - top)
        return float((painted & ideal).sum() / (painted | ideal).sum())

    return overlap(shape) >= FOUND_IOU and max(ALL_SHAPES, key=overlap) == shape


def present_objects(picture: Image.Image, wanted: Sequence[Wanted]) -> int:
    """How many of the wanted objects have a patch of their own colour anywhere in the picture."""
    colors = [patch.color for patch in find_objects(picture)]
    asked = [item.color for item in wanted]
    return sum(min(asked.count(color), colors.count(color)) for color in set(asked))


def relation_shown(picture: Image.Image, request: Request) -> bool:
    """Whether the patches that match the two related objects have the requested relation."""
    return relation_holds(request, [(patch.color, patch.shape, patch.box) for patch in find_objects(picture)])


# --- plans ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlanScore:
    """Whether a plan names exactly the objects asked for, keeps the relation, and no boxes overlap."""

    objects_right: bool
    relation_right: bool
    apart: bool

    @property
    def valid(self) -> bool:
        """All three."""
        return self.objects_right and self.relation_right and self.apart


NAMED = re.compile(rf"(?:({'|'.join(SIZES)}) )?({'|'.join(ALL_COLORS)}) ({'|'.join(ALL_SHAPES)})$")


def named_object(phrase: str) -> Wanted | None:
    """The object that a region's phrase ends with, such as "a small red circle"; None when it names none."""
    match = NAMED.search(phrase.strip())
    return Wanted(match[2], match[3], match[1]) if match else None


def expected_objects(chain: ReasoningChain) -> list[Expected]:
    """What a picture of this plan should show; a phrase that names no object is an object never found."""
    named = [(named_object(region.phrase), region.box) for region in chain.regions]
    return [(item.color, item.shape, box) if item else ("", "", box) for item, box in named]


def score_plan(chain: ReasoningChain, request: Request) -> PlanScore:
    """Compares the phrases and boxes of a generation's plan with its caption.

    A requested size must be in the phrase, and the box must have it.
    """
    remaining = [
        (item, region.box) for region in chain.regions if (item := named_object(region.phrase)) is not None
    ]
    objects_right = len(remaining) == len(chain.regions) == len(request.objects)
    for wanted in sorted(request.objects, key=lambda item: item.size is None):
        match = next((pair for pair in remaining if satisfies(*pair, wanted)), None)
        if match is None:
            objects_right = False
        else:
            remaining.remove(match)
    objects = [(color, shape, corners(box)) for color, shape, box in expected_objects(chain)]
    apart = all(
        intersection_over_union(first[2], second[2]) == 0
        for index, first in enumerate(objects)
        for second in objects[:index]
    )
    return PlanScore(objects_right, relation_holds(request, objects), apart)


def corners(box: Box) -> PixelBox:
    """The box's edges on the grid of [0, 1000), used as pixels of a 1000 x 1000 picture."""
    return (box.x1, box.y1, box.x2, box.y2)


def satisfies(named: Wanted, box: Box, wanted: Wanted) -> bool:
    """Whether a named object in this box is the one that is wanted."""
    if (named.color, named.shape) != (wanted.color, wanted.shape):
        return False
    return wanted.size is None or wanted.size == named.size == box_size(box)


def box_size(box: Box) -> str:
    """The size whose side is nearest to the box's mean side."""
    side = (box.x2 - box.x1 + box.y2 - box.y1) / 2 * PICTURE_SIZE / GRID
    return min(SIZES, key=lambda size: abs(SIZES[size] - side))


def relation_holds(request: Request, objects: Sequence[tuple[str, str, PixelBox]]) -> bool:
    """Whether boxes of the two related colours and shapes are strictly separated in the right direction."""
    relation = request.relation
    if relation is None:
        return True

    def boxes(index: int) -> list[PixelBox]:
        wanted = request.objects[index]
        return [box for color, shape, box in objects if (color, shape) == (wanted.color, wanted.shape)]

    pairs = product(boxes(relation.first), boxes(relation.second))
    return any(separated(relation, first, second) for first, second in pairs)


def separated(relation: Relation, first: PixelBox, second: PixelBox) -> bool:
    """Whether ``first`` is entirely on the relation's side of ``second``."""
    return {
        "left of": first[2] <= second[0],
        "right of": first[0] >= second[2],
        "above": first[3] <= second[1],
        "below": first[1] >= second[3],
    }[relation.name]


# --- edits ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EditScore:
    """``happened``: the picture shows the target. ``psnr``: decibels outside the edited boxes."""

    happened: bool
    psnr: float


def score_edit(
    example: Example, chain: ReasoningChain, source: Image.Image, result: Image.Image
) -> EditScore:
    """Looks for every object of the target in its colour and shape, and for nothing else.

    An object whose exact position the instruction leaves open has to be in its quarter of the picture.
    """
    patches = find_objects(result)
    happened = len(patches) == len(example.target.things)
    for index, thing in enumerate(example.target.things):
        place = thing.box.to_pixels(result.width, result.height)
        loose = index in example.loose
        match = next(
            (
                patch
                for patch in patches
                if (patch.color, patch.shape) == thing.pair
                and (
                    in_quarter(patch.box, thing, result.size)
                    if loose
                    else intersection_over_union(patch.box, place) >= FOUND_IOU
                )
            ),
            None,
        )
        happened = happened and match is not None
    return EditScore(happened, psnr(source, result, edited_boxes(example, chain)))


def in_quarter(box: PixelBox, thing: Thing, size: tuple[int, int]) -> bool:
    """Whether the box's centre is in the quarter of the picture that holds ``thing``."""
    x = (box[0] + box[2]) / 2 * PICTURE_SIZE / size[0]
    y = (box[1] + box[3]) / 2 * PICTURE_SIZE / size[1]
    left, top, right, bottom = QUADRANTS[quadrant_of(thing)]
    return left <= x < right and top <= y < bottom


def edited_boxes(example: Example, chain: ReasoningChain) -> list[Box]:
    """Where the true edit changes the source: the boxes of things that are removed, added or changed.

    For a thing whose position the instruction leaves open, the boxes that the plan puts into its quarter.
    """
    before = example.source.things if example.source else ()
    after = example.target.things
    boxes = [thing.box for thing in before if thing not in after]
    for index, thing in enumerate(after):
        if index in example.loose:
            regions = [region.box for region in chain.regions]
            boxes += [box for box in regions if in_quarter(corners(box), thing, (GRID, GRID))]
        elif thing not in before:
            boxes.append(thing.box)
    return boxes


def psnr(a: Image.Image, b: Image.Image, outside: Sequence[Box] = ()) -> float:
    """Peak signal-to-noise ratio in decibels of 8-bit RGB pictures, at most 100, ``outside`` the boxes only.

    Raises:
        GoTError: the pictures differ in size, or the boxes leave no pixel.
    """
    if a.size != b.size:
        raise GoTError(f"Expected two pictures of one size, received {a.size} and {b.size}; resize one.")
    counted = np.ones((a.height, a.width), dtype=bool)
    for box in outside:
        left, top, right, bottom = box.to_pixels(a.width, a.height)
        counted[top:bottom, left:right] = False
    if not counted.any():
        raise GoTError("Expected pixels outside the boxes, but the boxes cover the whole picture.")
    first, second = (np.asarray(picture.convert("RGB"), dtype=np.float64) for picture in (a, b))
    error = float(((first - second)[counted] ** 2).mean())
    return min(HIGHEST_PSNR, 10 * math.log10(255**2 / error)) if error else HIGHEST_PSNR
