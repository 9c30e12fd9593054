"""Forty pictures that teach the bundled model a new colour and a new shape: lessons/brown_crosses.

``python -m tiny_model.world.lesson FOLDER`` writes them as a dataset, deterministically.
"""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import cycle

from .edits import sample_edit
from .language import Example, sample_generation
from .scene import COLORS, NEW_COLOR, NEW_SHAPE, SHAPES, Scene, draw

TAUGHT = [
    *[(NEW_COLOR, NEW_SHAPE)] * 6,
    *[(color, NEW_SHAPE) for color in COLORS] * 2,
    *[(NEW_COLOR, shape) for shape in SHAPES] * 2,
]
"""What each picture of the lesson shows among others: both new things together, or one with an old one."""
KINDS = ("list", "count", "relation", "list", "relation", "count", "single")
"""The captions' kinds in turn: seven, so that a colour's second cross has another kind than its first."""
CANDIDATES = 24
"""Candidates generated per picture; the one that shows most of what was least shown is chosen."""
EDITS = 10
"""Edits of known things, so that editing is not forgotten."""


@cache
def lesson() -> tuple[Example, ...]:
    """The forty examples in mixed order, none of them with a prompt that evaluation may use."""
    rng = random.Random("brown crosses")
    examples = []
    shown: Counter[tuple[str, str]] = Counter()
    for pair, kind in zip(TAUGHT, cycle(KINDS)):
        candidates: list[Example] = []
        while len(candidates) < CANDIDATES:
            example = sample_generation(rng, "new", explicit=True)
            if example.kind == kind and pair in example.contents:
                candidates.append(example)
        examples.append(max(candidates, key=lambda example: worth(example, shown)))
        shown.update(new_things(examples[-1]))
    examples += [sample_edit(rng) for _ in range(EDITS)]
    rng.shuffle(examples)
    return tuple(examples)


def worth(example: Example, shown: Mapping[tuple[str, str], int]) -> float:
    """The number of new things in the picture, each weighted less the more often its pair was shown."""
    return sum(1 / (1 + shown[pair]) for pair in new_things(example))


def new_things(example: Example) -> list[tuple[str, str]]:
    """Colour and shape of each thing in the picture with a new colour or shape."""
    pairs = [thing.pair for thing in example.target.things]
    return [pair for pair in pairs if NEW_COLOR in pair or NEW_SHAPE in pair]


def lesson_files() -> dict[str, bytes]:
    """The dataset's files by name."""
    files, rows = {}, []
    for number, example in enumerate(lesson(), start=1):
        row = {"image": f"{number:02}.png", "prompt": example.prompt, "chain": example.chain.text}
        files[row["image"]] = picture(example.target)
        if example.source is not None:
            row["source"] = f"{number:02}-source.png"
            files[row["source"]] = picture(example.source)
        rows.append(json.dumps(row) + "\n")
    return {"data.jsonl": "".join(rows).encode(), **files}


def picture(scene: Scene) -> bytes:
    """The scene as a PNG file."""
    file = io.BytesIO()
    draw(scene).save(file, "PNG", optimize=True)
    return file.getvalue()
