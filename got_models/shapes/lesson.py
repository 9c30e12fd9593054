"""Forty pictures that teach the bundled model a new colour and a new shape: lessons/brown_crosses.

``python -m got_models.shapes.lesson FOLDER`` writes them as a dataset, always the same.
"""

from __future__ import annotations

import io
import json
import random
import sys
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from ..chain import ReasoningChain
from .language import (
    GAP,
    GRID_STEP,
    OPPOSITE,
    QUADRANTS,
    Example,
    cells_for,
    generation_text,
    moved,
    sample_generation,
)
from .scene import COLORS, NEW_COLOR, NEW_SHAPE, PICTURE_SIZE, SHAPES, SIZES, draw

WHOLE = (0, 0, PICTURE_SIZE, PICTURE_SIZE)

TAUGHT = [
    *[(NEW_COLOR, NEW_SHAPE)] * 4,
    *[(color, NEW_SHAPE) for color in COLORS] * 2,
    *[(NEW_COLOR, shape) for shape in SHAPES] * 2,
]
"""What each picture of the lesson shows among others: both new things together, or one with an old one."""
KINDS = ("single", "list", "relation", "count", "list")
"""The captions' kinds in turn, so that every kind speaks of everything new."""
REMINDERS = 12
"""Pictures of old things only, so that nothing is forgotten."""


def lesson() -> list[Example]:
    """The forty examples in mixed order, none of them with a caption that evaluation may use."""
    rng = random.Random("brown crosses")
    examples = []
    for pair, kind in zip([*TAUGHT, *[None] * REMINDERS], cycle(KINDS)):
        while True:
            example = sample_generation(rng, "new" if pair else "seen", explicit=True)
            if example.kind == kind and (pair is None or pair in example.contents):
                break
        examples.append(example)
    rng.shuffle(examples)
    return [tidied(example) for example in examples]


def tidied(example: Example) -> Example:
    """The same caption and things, each in the middle of its cell.

    Where a thing stands no caption can tell. A model can only learn it by heart, and forgets other things for
    that.
    """
    request = example.request
    relation, count = request.relation, len(request.objects)
    if relation is not None:
        name = relation.name if relation.first == 0 else OPPOSITE[relation.name]
        cells = cells_for(random.Random(), count, name)
    elif count == 2:
        cells = cells_for(random.Random(), count, "left of")
    else:
        cells = [WHOLE] if count == 1 else list(QUADRANTS[:count])
    things = []
    for thing, (left, top, right, bottom) in zip(example.target.things, cells, strict=True):
        across, down = right - left - GAP - SIZES[thing.size], bottom - top - GAP - SIZES[thing.size]
        x, y = (start + free // 2 // GRID_STEP * GRID_STEP for start, free in ((left, across), (top, down)))
        things.append(moved(thing, x, y))
    scene = replace(example.target, things=tuple(things))
    chain = ReasoningChain.parse(generation_text(scene, request), example.task, example.prompt)
    return replace(example, target=scene, chain=chain)


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
