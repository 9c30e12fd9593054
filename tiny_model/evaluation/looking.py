"""Figures about looking: what the model says a picture shows, and where it says that things are."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

from PIL import Image

from got_models.chain.notations import qwen
from got_models.errors import GoTError
from got_models.mllm.prompts import DESCRIBE, locating

from ..world.found_objects import Found, find_objects, intersection_over_union
from ..world.layouts import sample_source
from ..world.looks import repainted, sample_look
from ..world.scene import BACKGROUNDS, COLORS, PICTURE_SIZE, SHAPES, Scene, Thing
from .batches import Batches
from .report import Figures, rate

NAMED = re.compile(rf"\b({'|'.join(COLORS)}) ({'|'.join(SHAPES)})\b")
GROUND = re.compile(rf"\b({'|'.join(BACKGROUNDS)}) background")
FOUND_IOU = 0.5


def looking_figures(at_work: Batches, shown: Sequence[tuple[Image.Image, Scene]]) -> Figures:
    """How often a description is right in every object and the background, and a list of boxes in every box.

    Every thing is also asked for by its name alone.
    """
    pictures, scenes = [picture for picture, _ in shown], [scene for _, scene in shown]
    described = at_work.answer([DESCRIBE] * len(shown), pictures)
    located = at_work.answer([locating(None)] * len(shown), pictures)
    asked = [(row, thing) for row, scene in enumerate(scenes) for thing in scene.things]
    answers = at_work.answer(
        [locating([f"the {thing.color} {thing.shape}"]) for _, thing in asked],
        [pictures[row] for row, _ in asked],
    )
    side = at_work.model.settings.vision_size
    return {
        "described": rate([describes(*pair) for pair in zip(described, scenes, strict=True)], bar=0.95),
        "all_located": rate(
            [locates(text, scene.things, side) for text, scene in zip(located, scenes, strict=True)], bar=0.95
        ),
        "each_located": rate(
            [locates(text, (thing,), side) for text, (_, thing) in zip(answers, asked, strict=True)], bar=0.95
        ),
    }


def drawn_figures(at_work: Batches, drawn: Sequence[Image.Image]) -> Figures:
    """The same for pictures that the model has drawn itself, with the things that their pixels show."""
    located = at_work.answer([locating(None)] * len(drawn), drawn)
    things = [[_thing(found) for found in find_objects(picture)] for picture in drawn]
    side = at_work.model.settings.vision_size
    right = [locates(text, shown, side) for text, shown in zip(located, things, strict=True)]
    return {"all_located": rate(right, bar=0.95)}


def _thing(found: Found) -> Thing:
    left, top, right, bottom = found.box
    return Thing(found.shape, found.color, left, top, right - left, bottom - top)


def describes(text: str, scene: Scene) -> bool:
    """Whether a text names just the objects that a scene shows, in number too, and its background."""
    named = Counter(NAMED.findall(text))
    return named == Counter(thing.pair for thing in scene.things) and GROUND.findall(text)[-1:] == [
        scene.background
    ]


def locates(answer: str, things: Sequence[Thing], vision_size: int) -> bool:
    """Whether an answer holds a box around each thing, under its name, and no other box."""
    try:
        found = qwen.read_answer(answer, (vision_size, vision_size)).elements
    except GoTError:
        return False
    left = list(things)
    for element in found:
        if element.box is None:
            return False
        box = tuple(round(edge * PICTURE_SIZE) for edge in element.box)
        match = next(
            (
                thing
                for thing in left
                if element.phrase.endswith(f"{thing.color} {thing.shape}")
                and intersection_over_union(thing.pixel_box, (box[0], box[1], box[2], box[3])) >= FOUND_IOU
            ),
            None,
        )
        if match is None:
            return False
        left.remove(match)
    return not left


def sample_shown(rng: random.Random, count: int) -> list[tuple[Image.Image, Scene]]:
    """Pictures with things anywhere, all different, in any tones and looks, and what they show."""
    shown = []
    for _ in range(count):
        scene = repainted(rng, sample_source(rng, "anywhere"))
        shown.append((sample_look(rng).draw(scene), scene))
    return shown
