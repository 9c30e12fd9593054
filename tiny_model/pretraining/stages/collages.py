"""Pictures for the VAE: many colours and edges per step, evenly mixed."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw

from got_models.diffusion.box_masks import MASK_RULES, draw_region_masks

from ...world.language import GRID_STEP, QUADRANTS, sample_generation
from ...world.scene import BACKGROUNDS, COLORS, PICTURE_SIZE, SHAPES, SIZES, Scene, Thing, draw, draw_shape


def collage(rng: random.Random) -> Image.Image:
    """A picture of many tiles, each with its own background: many colours and edges, evenly mixed."""
    picture = Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE))
    side = rng.choice((32, 64))
    for left in range(0, PICTURE_SIZE, side):
        for top in range(0, PICTURE_SIZE, side):
            picture.paste(tile(rng, side), (left, top))
    return picture


def tile(rng: random.Random, side: int) -> Image.Image:
    """A small crop of a scene; shapes may extend beyond it."""
    picture = Image.new("RGB", (2 * side, 2 * side), rng.choice(list(BACKGROUNDS.values())))
    canvas = ImageDraw.Draw(picture)
    for _ in range(rng.randint(0, 2)):
        size = rng.choice(list(SIZES.values()))
        left, top = (rng.randrange(-size // 16 * 8, side - 8, GRID_STEP) for _ in range(2))
        box = (2 * left, 2 * top, 2 * (left + size), 2 * (top + size))
        draw_shape(canvas, rng.choice(SHAPES), box, rng.choice(list(COLORS.values())))
    return picture.resize((side, side), Image.Resampling.BOX)


def four_shapes(rng: random.Random) -> Image.Image:
    """A picture whose four quarters each hold one whole shape on its own background."""
    picture = Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE))
    for left, top, right, _ in QUADRANTS:
        side = right - left
        size, shape = rng.choice(list(SIZES)), rng.choice((*SHAPES, "star", "star"))
        thing_left, thing_top = (rng.randint(0, side - SIZES[size]) for _ in range(2))
        thing = Thing.of_size(shape, rng.choice(list(COLORS)), size, thing_left, thing_top)
        scene = draw(Scene(rng.choice(list(BACKGROUNDS)), (thing,)))
        picture.paste(scene.crop((0, 0, side, side)), (left, top))
    return picture


def whole_picture(rng: random.Random) -> Image.Image:
    """A scene, or (one in four) one of its chain's masks."""
    example = sample_generation(rng)
    if rng.random() < 0.25:
        return rng.choice(
            draw_region_masks(example.chain.regions, (PICTURE_SIZE, PICTURE_SIZE), MASK_RULES[0])
        )
    return draw(example.target)
