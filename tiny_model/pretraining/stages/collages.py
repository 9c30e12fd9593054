"""Pictures for the VAE: many edges per step, of every tone and look."""

from __future__ import annotations

import random
from dataclasses import replace

from PIL import Image

from got_models.diffusion.box_masks import MASK_RULES, draw_region_masks

from ...world.language import sample_generation
from ...world.layouts import PROPORTIONS, SMALLEST, apart, sample_source
from ...world.looks import PLAIN, Look, repainted, sample_look
from ...world.scene import BACKGROUNDS, COLORS, PICTURE_SIZE, SHAPES, Scene, Thing
from ..rows import VARIED

SHAPES_SHOWN = (*SHAPES, "star")
"""Stars twice: their tips are learned last."""
OVER_THE_EDGE = 6
"""Pixels by which things may be cut off where there is room for several."""
EQUALLY_LIGHT = 0.7
"""The share of backgrounds as light as a thing on them, where only hues shall tell things apart."""
LUMINANCE = (0.299, 0.587, 0.114)
NEARLY = 20
"""How much lighter or darker such a background may be, of 0..255."""


def collage(rng: random.Random, by_hue: bool = False) -> Image.Image:
    """Sixteen pictures with one small thing each, or four with up to three, on backgrounds of their own.

    Args:
        by_hue: most backgrounds are as light as a thing on them.
    """
    side = rng.choice((32, 32, 32, 64))
    look = sample_look(rng) if rng.random() < VARIED else PLAIN
    picture = Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE))
    for left in range(0, PICTURE_SIZE, side):
        for top in range(0, PICTURE_SIZE, side):
            picture.paste(tile(rng, side, look, by_hue), (left, top))
    return picture


def tile(rng: random.Random, side: int, look: Look, by_hue: bool = False) -> Image.Image:
    """The corner of a scene."""
    count, over = (1, 0) if side == 32 else (rng.choice((1, 1, 2, 3)), OVER_THE_EDGE)
    things: list[Thing] = []
    for _ in range(count):
        thing = sample_thing(rng, side, over)
        if all(apart(box_of(thing), box_of(other), 1) for other in things):
            things.append(thing)
    scene = Scene(rng.choice(list(BACKGROUNDS)), tuple(things))
    scene = repainted(rng, scene) if rng.random() < VARIED else scene
    scene = equally_light(rng, scene) if by_hue else scene
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


def equally_light(rng: random.Random, scene: Scene) -> Scene:
    """The scene on a gray that is as light as one of its things, or (three in ten) as it was."""
    if rng.random() >= EQUALLY_LIGHT:
        return scene
    light = sum(part * weight for part, weight in zip(rng.choice(scene.things).rgb, LUMINANCE, strict=True))
    level = min(255, max(0, round(light) + rng.randint(-NEARLY, NEARLY)))
    return replace(scene, paint=(level, level, level))


def whole_picture(rng: random.Random, by_hue: bool = False) -> Image.Image:
    """A scene, or (one in four) a mask of a chain. ``by_hue`` as for `collage`."""
    if rng.random() < 0.25:
        regions = sample_generation(rng).chain.regions
        return rng.choice(draw_region_masks(regions, (PICTURE_SIZE, PICTURE_SIZE), MASK_RULES[0]))
    scene = sample_source(rng, "anywhere")
    varied = rng.random() < VARIED
    scene = repainted(rng, scene) if varied else scene
    scene = equally_light(rng, scene) if by_hue else scene
    return (sample_look(rng) if varied else PLAIN).draw(scene)
