"""Pictures for the VAE: many edges per step, of every tone and look."""

from __future__ import annotations

import random

from PIL import Image

from got_models.diffusion.box_masks import MASK_RULES, draw_region_masks

from ...world.language import sample_generation
from ...world.layouts import PROPORTIONS, SMALLEST, apart, sample_source
from ...world.looks import PLAIN, Look, repainted, sample_look
from ...world.scene import BACKGROUNDS, COLORS, PICTURE_SIZE, SHAPES, Scene, Thing

SHAPES_SHOWN = (*SHAPES, "star")
"""Stars twice: their tips are learned last."""
VARIED = 0.75
"""The share of pictures in other tones and looks than the renderer's own."""
OVER_THE_EDGE = 6
"""Pixels by which things may be cut off where there is room for several."""


def collage(rng: random.Random) -> Image.Image:
    """Sixteen pictures with one small thing each, or four with up to three, on backgrounds of their own."""
    side = rng.choice((32, 32, 32, 64))
    look = sample_look(rng) if rng.random() < VARIED else PLAIN
    picture = Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE))
    for left in range(0, PICTURE_SIZE, side):
        for top in range(0, PICTURE_SIZE, side):
            picture.paste(tile(rng, side, look), (left, top))
    return picture


def tile(rng: random.Random, side: int, look: Look) -> Image.Image:
    """The corner of a scene."""
    count, over = (1, 0) if side == 32 else (rng.choice((1, 1, 2, 3)), OVER_THE_EDGE)
    things: list[Thing] = []
    for _ in range(count):
        thing = sample_thing(rng, side, over)
        if all(apart(box_of(thing), box_of(other), 1) for other in things):
            things.append(thing)
    scene = Scene(rng.choice(list(BACKGROUNDS)), tuple(things))
    scene = repainted(rng, scene) if rng.random() < VARIED else scene
    return look.draw(scene).crop((0, 0, side, side))


def sample_thing(rng: random.Random, side: int, over: int) -> Thing:
    """A thing of any size at any pixel of a square of ``side`` pixels, at most so many ``over`` its edges."""
    shape, width = rng.choice(SHAPES_SHOWN), rng.randint(SMALLEST - 3, side - 2 - over)
    height = max(SMALLEST - 3, round(width * rng.uniform(*PROPORTIONS[shape])))
    left, top = (rng.randint(-over, side - extent + over) for extent in (width, height))
    return Thing(shape, rng.choice(list(COLORS)), left, top, width, height)


def box_of(thing: Thing) -> tuple[int, int, int, int]:
    """Left, top, width and height."""
    return thing.left, thing.top, thing.width, thing.height


def whole_picture(rng: random.Random) -> Image.Image:
    """A scene, or (one in four) a mask of a chain."""
    if rng.random() < 0.25:
        regions = sample_generation(rng).chain.regions
        return rng.choice(draw_region_masks(regions, (PICTURE_SIZE, PICTURE_SIZE), MASK_RULES[0]))
    scene = sample_source(rng, "anywhere")
    if rng.random() < VARIED:
        return sample_look(rng).draw(repainted(rng, scene))
    return PLAIN.draw(scene)
