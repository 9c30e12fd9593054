"""Annotating drawings that the project did not make, with the bundled model.

Right is a row with just the things that were drawn, under their words and in their boxes; of a pair, what was
edited in its box, and the right words for both pictures. With GOT_ANNOTATED=500 in the environment so many
pictures are annotated, and two pairs for five; without, a few.
"""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import Any

from got_models.annotation.local import CheckpointAnnotator
from got_models.annotation.output import REVIEW_FILE
from got_models.annotation.run import annotate_folder
from got_models.chain.chain import ReasoningChain
from got_models.dataset.rows import DATA_FILE
from got_models.pipeline import GoTModel

from .drawings import (
    CORNERS,
    GROUNDS,
    SIDES,
    Mark,
    Task,
    described,
    located,
    paint,
    sample_marks,
    sample_task,
)

PICTURES = int(os.environ.get("GOT_ANNOTATED", "5"))
PAIRS = PICTURES * 2 // 5
RIGHT, WRONG_IN_REVIEW = 0.95, 0.5
ENOUGH = 100  # pictures, below which a share says little
ADDED_REACH = 0.15
STEP = re.compile(r"\b[1-9]\. ")


def edited(task: Task) -> list[Mark]:
    """The marks after a task, new ones in the middle of their corners."""
    placed = []
    for words, corner in task.placed:
        color, shape = words.split()
        x, y = (side / 2 + 0.25 for side in CORNERS[corner])
        placed.append(Mark(color, shape, x, y, ADDED_REACH))
    return [*task.kept, *placed]


def draw_all(folder: Path, rng: random.Random) -> dict[str, list[Mark] | Task]:
    """What is drawn, by the names of pictures; half of the pairs come with their instruction."""
    drawn: dict[str, list[Mark] | Task] = {}
    for index in range(PICTURES):
        name = f"picture-{index}.png"
        drawn[name] = marks = sample_marks(rng, rng.choice((1, 2, 3, 4)))
        paint(marks, rng.choice(list(GROUNDS)), rng.choice(SIDES)).save(folder / name)
    pairs = []
    for index in range(PAIRS):
        name, source = f"pair-{index}.png", f"pair-{index}-source.png"
        drawn[name] = task = sample_task(rng, steps=1)
        side = rng.choice(SIDES)
        paint(task.before, task.ground, side).save(folder / source)
        paint(edited(task), task.ground, side).save(folder / name)
        pairs.append({"image": name, "source": source})
        if index % 2:
            pairs[-1]["prompt"] = task.instruction
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return drawn


def changed(task: Task) -> list[Mark]:
    """What an edit is about: marks that are no more as they were, and new ones."""
    after = edited(task)
    return [mark for mark in task.before if mark not in after] + after[len(task.kept) :]


def is_right(row: dict[str, Any], drawn: list[Mark] | Task) -> bool:
    """Whether a row, accepted or doubtful, says what was drawn."""
    if "chain" not in row:
        return False
    chain = ReasoningChain.parse(row["chain"], "edit" if isinstance(drawn, Task) else "generate", "")
    places = [
        (region.phrase, (box.x1 / 1000, box.y1 / 1000, box.x2 / 1000, box.y2 / 1000))
        for region in chain.regions
        for box in (region.box,)
    ]
    if not isinstance(drawn, Task):
        return described(row["chain"], drawn) and located(places, drawn)
    _, before, *_, after = STEP.split(row["chain"])
    return (
        located(places, changed(drawn))
        and described(before, drawn.before)
        and described(after, edited(drawn))
    )


def read(file: Path) -> dict[str, dict[str, Any]]:
    """The rows of a file by their pictures."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return {row["image"]: row for row in map(json.loads, lines)}


def test_what_is_drawn_is_annotated_and_what_is_wrong_is_doubted(model: GoTModel, tmp_path: Path) -> None:
    drawn = draw_all(tmp_path, random.Random("drawings to annotate"))
    annotate_folder(tmp_path, CheckpointAnnotator(model))
    accepted, doubtful = read(tmp_path / DATA_FILE), read(tmp_path / REVIEW_FILE)
    assert {*accepted, *doubtful} == {*drawn}
    right = [name for name, row in accepted.items() if is_right(row, drawn[name])]
    wrong = len(accepted) - len(right)
    doubted = sum(not is_right(row, drawn[name]) for name, row in doubtful.items())
    print(f"{len(accepted)} rows, {len(right)} right; {len(doubtful)} doubtful, {doubted} of them wrong")
    if PICTURES >= ENOUGH:
        assert len(right) >= RIGHT * len(accepted)
        assert doubted >= WRONG_IN_REVIEW * (doubted + wrong)
