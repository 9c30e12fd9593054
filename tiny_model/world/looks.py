"""Pictures of the shapes world as other programs would draw and save them.

A model that has only ever seen one renderer's edges and colours sees nothing else.
"""

from __future__ import annotations

import colorsys
import io
import random
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from .scene import PICTURE_SIZE, RGB, STAR_DEPTH, SUPERSAMPLING, Scene, draw_finely

Span = tuple[float, float]

HUES: dict[str, tuple[Span, Span, Span]] = {
    "red": ((-10, 6), (0.75, 1.0), (0.7, 1.0)),
    "orange": ((22, 40), (0.8, 1.0), (0.85, 1.0)),
    "yellow": ((48, 62), (0.7, 1.0), (0.85, 1.0)),
    "green": ((95, 148), (0.55, 1.0), (0.4, 1.0)),
    "cyan": ((172, 192), (0.6, 1.0), (0.7, 1.0)),
    "blue": ((212, 246), (0.65, 1.0), (0.6, 1.0)),
    "purple": ((268, 301), (0.6, 1.0), (0.45, 0.8)),
    "pink": ((322, 354), (0.22, 0.62), (0.92, 1.0)),
}
"""What people call by these names: hue in degrees, saturation and value in 0..1."""

GRAYS: dict[str, Span] = {
    "white": (243, 255),
    "light gray": (175, 222),
    "dark gray": (60, 115),
    "black": (0, 20),
}

FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)


@dataclass(frozen=True)
class Look:
    """How a scene becomes pixels.

    ``scale``: how many times larger it is drawn before ``resampling`` reduces it; 1 leaves hard edges.
    ``star_depth``: as for ``outline``. ``blur``: radius in pixels. ``noise``: standard deviation of 0..255,
    drawn from ``seed``. ``jpeg``: quality, or None for no compression.
    """

    scale: float = SUPERSAMPLING
    resampling: Image.Resampling = Image.Resampling.BOX
    star_depth: float = STAR_DEPTH
    blur: float = 0.0
    noise: float = 0.0
    jpeg: int | None = None
    seed: int = 0

    def draw(self, scene: Scene) -> Image.Image:
        """The scene as an RGB picture of 128 x 128 pixels."""
        side = round(self.scale * PICTURE_SIZE)
        picture = draw_finely(scene, side, self.star_depth)
        if side != PICTURE_SIZE:
            picture = picture.resize((PICTURE_SIZE, PICTURE_SIZE), self.resampling)
        if self.blur:
            picture = picture.filter(ImageFilter.GaussianBlur(self.blur))
        if self.noise:
            pixels = np.asarray(picture, dtype=np.float32)
            grain = np.random.default_rng(self.seed).normal(0, self.noise, pixels.shape)
            picture = Image.fromarray((pixels + grain).round().clip(0, 255).astype(np.uint8))
        if self.jpeg is not None:
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=self.jpeg)
            picture = Image.open(file).convert("RGB")
        return picture


PLAIN = Look()
"""The look of every target of a generation."""


def sample_look(rng: random.Random) -> Look:
    """A look; most have smooth edges, and each fault is in a part of them."""
    return Look(
        scale=rng.choice((1, 1.5, 2, 2, 3, 4, 4, 4)),
        resampling=rng.choice(FILTERS),
        star_depth=rng.uniform(0.38, 0.52),
        blur=rng.uniform(0.3, 0.9) if rng.random() < 0.25 else 0.0,
        noise=rng.uniform(1, 6) if rng.random() < 0.25 else 0.0,
        jpeg=rng.randint(60, 95) if rng.random() < 0.3 else None,
        seed=rng.getrandbits(32),
    )


def repainted(rng: random.Random, scene: Scene) -> Scene:
    """The same scene in other tones of its colours: what else people call red, or dark gray."""
    tones = {thing.color: sample_tone(rng, thing.color) for thing in scene.things}
    things = tuple(replace(thing, paint=tones[thing.color]) for thing in scene.things)
    level = round(rng.uniform(*GRAYS[scene.background]))
    return replace(scene, things=things, paint=(level, level, level))


def sample_tone(rng: random.Random, color: str) -> RGB:
    """A tone of a colour."""
    return as_rgb(*(rng.uniform(*span) for span in HUES[color]))


def as_rgb(hue: float, saturation: float, value: float) -> RGB:
    """A colour of this hue in degrees, saturation and value in 0..1."""
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value))
    return red, green, blue
