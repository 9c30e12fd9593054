"""Figures about pictures: objects in their boxes, moved boxes, positions."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from got_models.chain.chain import GRID, Box, ReasoningChain

from ..world.found_objects import find_objects, intersection_over_union
from ..world.language import GAP, Example
from ..world.scene import HELD_OUT_PAIRS, PICTURE_SIZE
from ..world.scoring import (
    FOUND_IOU,
    corners,
    expected_objects,
    present_objects,
    relation_shown,
    score_picture,
    score_plan,
)
from .report import Figures, rate


def picture_figures(
    examples: Sequence[Example], chains: Sequence[ReasoningChain], pictures: Sequence[Image.Image]
) -> Figures:
    """How often the objects of a plan are found in its picture."""
    scores = [
        score_picture(picture, expected_objects(chain))
        for chain, picture in zip(chains, pictures, strict=True)
    ]
    objects = [result for score in scores for result in score.objects]
    backgrounds = [
        score.background == example.request.background
        for example, score in zip(examples, scores, strict=True)
        if example.request.background is not None
    ]
    return {
        "found": rate([result.found for result in objects], bar=0.95),
        "shape_right": rate([result.shape_right for result in objects], bar=0.90),
        "nothing_extra": rate([not score.extra for score in scores]),
        "background_right": rate(backgrounds),
    }


def unseen_figures(
    examples: Sequence[Example], chains: Sequence[ReasoningChain], pictures: Sequence[Image.Image]
) -> Figures:
    """The same for objects of a pair that training never shows; one missing from the plan is a miss."""
    found, shape_right, planned = [], [], []
    for example, chain, picture in zip(examples, chains, pictures, strict=True):
        expected = expected_objects(chain)
        asked = sum((item.color, item.shape) in HELD_OUT_PAIRS for item in example.request.objects)
        results = [
            result
            for (color, shape, _), result in zip(
                expected, score_picture(picture, expected).objects, strict=True
            )
            if (color, shape) in HELD_OUT_PAIRS
        ]
        missing = [False] * (asked - len(results))
        found += [result.found for result in results] + missing
        shape_right += [result.shape_right for result in results] + missing
        planned.append(score_plan(chain, example.request).valid)
    return {
        "found": rate(found, bar=0.90),
        "shape_right": rate(shape_right),
        "plan_valid": rate(planned),
    }


def obeys(example: Example, picture: Image.Image) -> bool:
    """Whether a picture shows every object of a plan in its box, nothing else, and its background."""
    score = score_picture(picture, expected_objects(example.chain))
    return score.all_right and score.background == example.target.background


def obeyed(examples: Sequence[Example], pictures: Sequence[Image.Image]) -> Figures:
    """How often pictures obey their plans."""
    return rate([obeys(*pair) for pair in zip(examples, pictures, strict=True)], bar=0.90)


@dataclass(frozen=True)
class Move:
    """A plan before and after a person moved the box of region ``index``."""

    before: ReasoningChain
    after: ReasoningChain
    index: int


def sample_move(rng: random.Random, chain: ReasoningChain) -> Move | None:
    """Moves a random box to a random free position; None if there is none.

    Free: clear of all other boxes, and hardly overlapping the old position.
    """
    gap = math.ceil(GAP * GRID / PICTURE_SIZE)
    for index in rng.sample(range(len(chain.regions)), len(chain.regions)):
        old = chain.regions[index].box
        width, height = old.x2 - old.x1, old.y2 - old.y1
        others = [region.box for other, region in enumerate(chain.regions) if other != index]
        if max(width, height) > GRID - 2 * gap:
            continue
        for _ in range(100):
            left, top = rng.randint(gap, GRID - gap - width), rng.randint(gap, GRID - gap - height)
            new = Box(left, top, left + width, top + height)
            grown = (left - gap, top - gap, left + width + gap, top + height + gap)
            clear = all(intersection_over_union(grown, corners(other)) == 0 for other in others)
            if clear and new.iou(old) < 0.2:
                return Move(chain, chain.move_box(index, new), index)
    return None


def follows(move: Move, picture: Image.Image) -> bool:
    """Whether the object is found in its new box and no longer in the old one."""
    expected = expected_objects(move.after)
    place = move.before.regions[move.index].box.to_pixels(picture.width, picture.height)
    stayed = any(
        patch.color == expected[move.index][0] and intersection_over_union(patch.box, place) >= FOUND_IOU
        for patch in find_objects(picture)
    )
    return score_picture(picture, expected).objects[move.index].found and not stayed


def move_figures(moves: Sequence[Move], pictures: Sequence[Image.Image]) -> Figures:
    """How often an object follows its box, and how often the others stay in theirs."""
    others = [
        result.found
        for move, picture in zip(moves, pictures, strict=True)
        for index, result in enumerate(score_picture(picture, expected_objects(move.after)).objects)
        if index != move.index
    ]
    follow = [follows(move, picture) for move, picture in zip(moves, pictures, strict=True)]
    return {"follows": rate(follow, bar=0.95), "others_in_place": rate(others)}


def position_figures(
    examples: Sequence[Example], chains: Sequence[ReasoningChain], pictures: Sequence[Image.Image]
) -> Figures:
    """Objects in the plan's boxes, relations that the picture shows, and objects that appear at all."""
    rows = list(zip(examples, chains, pictures, strict=True))
    found = [
        result.found
        for _, chain, picture in rows
        for result in score_picture(picture, expected_objects(chain)).objects
    ]
    related = [
        relation_shown(picture, example.request)
        for example, _, picture in rows
        if example.request.relation is not None
    ]
    asked = sum(len(example.request.objects) for example in examples)
    present = sum(present_objects(picture, example.request.objects) for example, _, picture in rows)
    return {
        "position": rate(found),
        "relation": rate(related),
        "present": {"value": present / asked, "count": asked, "bar": None},
    }
