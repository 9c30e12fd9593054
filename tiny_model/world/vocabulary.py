"""The vocabulary of a checkpoint trained on the shapes world, for its got.json."""

from __future__ import annotations

import random

from got_models.chain.plan_check import words_of
from got_models.chain.vocabulary import PictureKind, Vocabulary

from .edits import sample_edit
from .language import COUNT_WORDS, sample_generation
from .scene import BACKGROUNDS, COLORS, SHAPES

SAMPLES = 500
"""The number of captions and of edits to sample, which hold every word many times over."""
REACH, SHARE, STRAYS = 30.0, 0.9, 0.02
"""In pictures of this world, including JPEG files, at least 0.92 is known and at most 0.0004 stray."""


def shapes_vocabulary() -> Vocabulary:
    """The words of captions, instructions and their plans, and the colours that pictures are made of."""
    rng = random.Random("vocabulary")
    examples = [make(rng) for make in (sample_generation, sample_edit) for _ in range(SAMPLES)]
    words = {
        word
        for example in examples
        for text in (example.prompt, example.chain.text)
        for word in words_of(text)
    }
    return Vocabulary(
        name={"en": "The bundled model", "zh": "\u81ea\u5e26\u6a21\u578b"},
        objects=SHAPES,
        colors=tuple(COLORS),
        words=tuple(sorted(word for word in words if not word.isdecimal())),
        most_objects=len(COUNT_WORDS),
        edits_need_boxes=True,
        pictures=PictureKind(
            tuple(map(written, COLORS.values())),
            tuple(map(written, BACKGROUNDS.values())),
            REACH,
            SHARE,
            STRAYS,
        ),
    )


def written(color: tuple[int, int, int]) -> str:
    """A colour as written in got.json: #e61919."""
    return "#{:02x}{:02x}{:02x}".format(*color)
