"""Forty pictures that teach the bundled model a new colour and a new shape: lessons/brown_crosses.

``python -m got_models.shapes.lesson FOLDER`` writes them as a dataset, always the same.
"""

from __future__ import annotations

import io
import json
import random
import sys
from itertools import cycle
from pathlib import Path

from .edits import sample_edit
from .language import Example, sample_generation
from .scene import COLORS, NEW_COLOR, NEW_SHAPE, SHAPES, Scene, draw

TAUGHT = [
    *[(NEW_COLOR, NEW_SHAPE)] * 8,
    *[(color, NEW_SHAPE) for color in COLORS] * 2,
    *[(NEW_COLOR, shape) for shape in SHAPES] * 2,
]
"""What each picture of the lesson shows among others: both new things together, or one with an old one."""
KINDS = ("list", "relation", "list", "count", "list", "relation", "list", "single")
"""The captions' kinds in turn, so that every kind speaks of everything new."""
CANDIDATES = 6
"""So many examples are made for each picture, and the one with the most in it is taken."""
EDITS = 8
"""Edits of old things, so that edits are not forgotten."""


def lesson() -> list[Example]:
    """The forty examples in mixed order, none of them with a prompt that evaluation may use."""
    rng = random.Random("brown crosses")
    examples = []
    for pair, kind in zip(TAUGHT, cycle(KINDS)):
        candidates: list[Example] = []
        while len(candidates) < CANDIDATES:
            example = sample_generation(rng, "new", explicit=True)
            if example.kind == kind and pair in example.contents:
                candidates.append(example)
        examples.append(max(candidates, key=fullness))
    examples += [sample_edit(rng) for _ in range(EDITS)]
    rng.shuffle(examples)
    return examples


def fullness(example: Example) -> int:
    """Things in the picture; new ones count twice."""
    return sum(1 + (NEW_COLOR in thing.pair or NEW_SHAPE in thing.pair) for thing in example.target.things)


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


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in lesson_files().items():
        (folder / name).write_bytes(content)
