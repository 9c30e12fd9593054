"""Forty pictures that teach the bundled model a new colour and a new shape: lessons/brown_crosses.

``python -m got_models.shapes.lesson FOLDER`` writes them as a dataset, always the same.
"""

from __future__ import annotations

import io
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from .language import Example, sample_generation
from .scene import COLORS, NEW_COLOR, NEW_SHAPE, SHAPES, draw

TAUGHT = [
    *[(NEW_COLOR, NEW_SHAPE)] * 8,
    *[(color, NEW_SHAPE) for color in COLORS],
    *[(NEW_COLOR, shape) for shape in SHAPES] * 2,
]
"""What a picture of the lesson shows first of all: both new things together, and each with all old ones."""
REMINDERS = 16
"""Pictures of old things only, so that nothing is forgotten."""


def lesson() -> Iterator[Example]:
    """The forty examples, none of them with a caption that evaluation may use."""
    rng = random.Random("brown crosses")
    for pair in TAUGHT:
        example = sample_generation(rng, pairs="new")
        while pair not in example.contents:
            example = sample_generation(rng, pairs="new")
        yield example
    for _ in range(REMINDERS):
        yield sample_generation(rng)


def lesson_files() -> dict[str, bytes]:
    """The dataset's files by name."""
    files, rows = {}, []
    for number, example in enumerate(lesson(), start=1):
        row = {"image": f"{number:02}.png", "prompt": example.prompt, "chain": example.chain.text}
        rows.append(json.dumps(row) + "\n")
        file = io.BytesIO()
        draw(example.target).save(file, "PNG", optimize=True)
        files[row["image"]] = file.getvalue()
    return {"data.jsonl": "".join(rows).encode(), **files}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in lesson_files().items():
        (folder / name).write_bytes(content)
