"""What makes a row doubtful: pure functions that say so in a sentence for the person who reviews it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from PIL import Image

from ..chain.chain import Box, Region
from ..chain.notations import LayoutPlan
from ..chain.notations.plan import Element
from ..chain.notations.to_chain import named_at
from ..judge.changes import changed_pixels
from ..notes import Note
from .names import Mention, names_in, without_determiner

LEAST_AREA, MOST_AREA = 400, 950_000
"""Of a box, in millionths of the picture: a side of 2 percent, and nearly all of it."""
SAME_PLACE = 0.85
"""The intersection over union from which two names are taken to have one box by mistake."""
SAME_THING = 0.5
LEAST_NOTICED = 10_000
"""In millionths of the picture: what is smaller may be left out of a description."""
HELD = 0.5
"""The share of a thing from which a box around something holds it too."""
LEAST_INSIDE = 0.85
"""The share of the changed pixels that an edit's boxes must hold: else it may have a step without a box."""
LEAST_CHANGED = 0.05
"""The share of the pixels in an edit's box that must have changed."""
LEAST_SEEN = 0.01
"""The share of a picture from which a change outside of the boxes counts."""
MARGIN = 30  # thousandths around a box: shadows and soft edges change too
CUT = "ends_in_the_middle"
ODD = {
    "not_finite",
    "swapped_corners",
    "no_area",
    "outside",
    "cut_at_the_edge",
    "fewer_than_four",
    "no_four_numbers",
    "not_four_of",
    CUT,
}
"""The notes on an answer by which its boxes are doubtful."""


def odd(phrase: str, found: LayoutPlan) -> list[str]:
    """What is wrong with the boxes of an answer."""
    notes = [str(note) for note in found.notes if isinstance(note, Note) and note.key in ODD]
    return [f"The box of '{phrase}' is doubtful. {note}" for note in notes]


def layout_doubts(regions: Sequence[Region]) -> Iterator[str]:
    """Boxes that are too small, too large, or in the same place."""
    for region in regions:
        if region.box.area < LEAST_AREA:
            yield f"The box of '{region.phrase}' is very small."
        if region.box.area > MOST_AREA:
            yield f"The box of '{region.phrase}' is the whole picture."
    for one, other in combinations(regions, 2):
        if one.box.iou(other.box) >= SAME_PLACE:
            yield f"'{one.phrase}' and '{other.phrase}' have the same box."


def second_look(regions: Sequence[Region], everything: LayoutPlan) -> Iterator[str]:
    """Where a list of all things in a picture disagrees with the boxes of their names."""
    left = [element for element in everything.elements if element.grid_box]
    for region in regions:
        same = next((element for element in left if _is_same(region, element)), None)
        if same is None:
            yield f"'{region.phrase}' was not found in its box when everything was looked for."
        else:
            left.remove(same)
    for element in left:
        yield f"'{element.phrase}' was found, and is not in the text."


def left_out(text: str, regions: Sequence[Region], everything: LayoutPlan) -> Iterator[str]:
    """What a list of all things in a picture has, and a description of the important ones has not.

    It need not have what is small, lies in a box, or is named without any, as the sky. Names differ where the
    list says "person" and the text "a woman", and so places count.
    """
    if any(isinstance(note, Note) and note.key == CUT for note in everything.notes):
        yield "Not everything in the picture was listed, and so something may be left out."
    boxed = [region.phrase.lower() for region in regions]
    for element in everything.elements:
        box, name = element.grid_box, without_determiner(element.phrase or "object").lower()
        if box is None or not LEAST_NOTICED <= box.area <= MOST_AREA:
            continue
        held = any(box.shared_area(region.box) >= HELD * box.area for region in regions)
        unboxed = named_at(text.lower(), name, []) and not any(phrase.endswith(name) for phrase in boxed)
        if not held and not unboxed:
            yield f"'{element.phrase or 'something'}' was found, and has no box."


def told_otherwise(picture: str, text: str, everything: LayoutPlan) -> Iterator[str]:
    """Where a list of all things in a picture disagrees with a description of it.

    Args:
        picture: what to call it, as "the source".
    """
    left = [without_determiner(element.phrase or "object").lower() for element in everything.elements]
    for name in names_in(text):
        mention = Mention(name, (0, 0))
        same = [found for found in left if found in mention.key]  # also "square" in "two squares"
        if not same:
            yield f"'{name}' is in the description of {picture}, and was not found there."
        for found in same[: 1 if mention.is_single else None]:
            left.remove(found)
    for found in left:
        yield f"'{found}' was found in {picture}, and is not in its description."


def not_asked_for(instruction: str, names: Sequence[str]) -> Iterator[str]:
    """What was edited and the instruction does not name."""
    for name in names:
        if not named_at(instruction.lower(), without_determiner(name).lower(), []):
            yield f"The instruction does not name '{name}', which was edited."


def _is_same(region: Region, element: Element) -> bool:
    box = element.grid_box
    named = region.phrase.lower().endswith(Mention(element.phrase or "?", (0, 0)).key)
    return box is not None and named and box.iou(region.box) >= SAME_THING


def change_doubts(source: Image.Image, target: Image.Image, regions: Sequence[Region]) -> Iterator[str]:
    """Whether an edit's pictures differ, mostly within its boxes, and in each of them."""
    changed = changed_pixels(source, target)
    if not changed.any():
        yield "The two pictures are the same."
        return
    inside = np.zeros_like(changed)
    height, width = changed.shape
    for region in regions:
        left, top, right, bottom = region.box.to_pixels(width, height)
        if changed[top:bottom, left:right].mean() < LEAST_CHANGED:
            yield f"Nothing has changed in the box of '{region.phrase}'."
        left, top, right, bottom = wider(region.box).to_pixels(width, height)
        inside[top:bottom, left:right] = True
    elsewhere = changed & ~inside
    share = float((changed & inside).sum() / changed.sum())
    if share < LEAST_INSIDE and elsewhere.mean() >= LEAST_SEEN:
        yield f"Only {share:.0%} of what changed lies within the boxes."


def wider(box: Box) -> Box:
    """A box with a margin around it, inside the picture."""
    left, top, right, bottom = box.x1 - MARGIN, box.y1 - MARGIN, box.x2 + MARGIN, box.y2 + MARGIN
    return Box.from_pixels(max(left, 0), max(top, 0), right, bottom, 1000, 1000)


def crop(picture: Image.Image, box: Box) -> Image.Image:
    """The part of a picture in a box, with a margin."""
    return picture.crop(wider(box).to_pixels(picture.width, picture.height))
