"""Questions about pictures of the shapes world, answered as Qwen2.5-VL answers them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from got_models.chain.notations import qwen
from got_models.chain.notations.plan import Element, LayoutPlan
from got_models.mllm.prompts import DESCRIBE, locating

from .edits import description
from .language import name, random_pair
from .looks import Look
from .scene import PICTURE_SIZE, Scene, Thing


@dataclass(frozen=True)
class Question:
    """``words`` about a picture, and the ``answer``. ``located``: whose boxes it holds, in its order."""

    words: str
    answer: str
    source: Scene
    look: Look
    located: tuple[Thing, ...] = ()


def describing(source: Scene, look: Look) -> Question:
    """What does the picture show?"""
    text = description(source.things, source.background)
    return Question(DESCRIBE, f"{text[0].upper()}{text[1:]}.", source, look)


def locating_all(source: Scene, look: Look, vision_size: int) -> Question:
    """Where is everything? The answer goes from the left to the right."""
    answer = grounding(source.things, vision_size)
    return Question(locating(None), answer, source, look, source.things)


def locating_some(rng: random.Random, source: Scene, look: Look, vision_size: int) -> Question:
    """Where are one to three things, of which some may not be there? The answer has the question's order."""
    pairs = {thing.pair: None for thing in source.things}
    asked = rng.sample(list(pairs), min(len(pairs), rng.choice((1, 1, 1, 2, 3))))
    if rng.random() < 0.2:
        absent = rng.choice((similar_pair(rng, rng.choice(list(pairs))), random_pair(rng)))
        if absent not in pairs:
            asked.insert(rng.randint(0, len(asked)), absent)
            asked = asked if rng.random() < 0.5 else [absent]
    located = tuple(thing for pair in asked for thing in source.things if thing.pair == pair)
    words = locating([f"the {name(*pair, article=None)}" for pair in asked])
    return Question(words, grounding(located, vision_size), source, look, located)


def similar_pair(rng: random.Random, pair: tuple[str, str]) -> tuple[str, str]:
    """A pair that shares its colour or its shape with another."""
    other = random_pair(rng)
    while (other[0] == pair[0]) == (other[1] == pair[1]):
        other = random_pair(rng)
    return other


def grounding(things: Sequence[Thing], vision_size: int) -> str:
    """The JSON with each thing's name and box in pixels of the picture as the MLLM sees it."""
    elements = []
    for thing in things:
        left, top, right, bottom = (edge / PICTURE_SIZE for edge in thing.pixel_box)
        elements.append(Element(name(*thing.pair, article=None), (left, top, right, bottom)))
    written = qwen.write(LayoutPlan(tuple(elements)), (vision_size, vision_size))
    return f"```json\n{written}\n```"
