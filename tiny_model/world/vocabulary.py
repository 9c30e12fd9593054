"""The vocabulary of a checkpoint trained on the shapes world, for its got.json."""

from __future__ import annotations

import random
from itertools import product

from got_models.chain.plan_check import words_of
from got_models.chain.vocabulary import PictureKind, Vocabulary

from .edits import sample_edit
from .language import COUNT_WORDS, sample_generation
from .looks import GRAYS, HUES, Span, as_rgb
from .scene import COLORS, RGB, SHAPES

SAMPLES = 500
"""The number of captions and of edits to sample, which hold every word many times over."""
REACH, SHARE, STRAYS = 48.0, 0.9, 0.02
"""No tone of this world is further than 43 from the nearest that is written down."""


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
            tuple(written(as_rgb(*tone)) for spans in HUES.values() for tone in product(*map(thirds, spans))),
            tuple(written((level, level, level)) for span in GRAYS.values() for level in quarters(span)),
            REACH,
            SHARE,
            STRAYS,
        ),
    )


def thirds(span: Span) -> list[float]:
    """Three values of a span, none of which lies at its end."""
    return [span[0] + share * (span[1] - span[0]) for share in (0.1, 0.5, 0.9)]


def quarters(span: Span) -> list[int]:
    """Two levels of a span, so that the others are near one of them."""
    return [round(span[0] + share * (span[1] - span[0])) for share in (0.25, 0.75)]


def written(color: RGB) -> str:
    """A colour as written in got.json: #e61919."""
    return "#{:02x}{:02x}{:02x}".format(*color)
