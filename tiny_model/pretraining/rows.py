"""The endless, numbered streams of rows that training sees.

A row depends only on the seed, its stream and its number, so a resumed run sees the same rows.
"""

from __future__ import annotations

import random

from PIL import Image

from ..world.disagreements import changed_edit, changed_plan
from ..world.edits import sample_edit
from ..world.language import Example, nudged, sample_generation
from ..world.layouts import LAYOUTS, sample_source
from ..world.looks import PLAIN, Look, repainted, sample_look
from ..world.questions import Question, describing, locating_all, locating_some
from ..world.scene import Scene

LATER = 1_000_000
"""Offset of the joint stage's rows, so that they differ from the language stage's."""
LAYOUT_SHARES = (1, 1, 3)
"""How often a source has each of ``LAYOUTS``."""
VARIED = 0.75
"""The share of sources in other tones and looks than the renderer's own."""
REPEATED = 0.1
"""The share of things that may look like another one, where questions are asked about them."""


def generation(seed: int, row: int) -> Example:
    """A caption with its plan; every second lies off the grid, as moved boxes do."""
    rng = random.Random(f"generate {seed} {row}")
    example = sample_generation(rng)
    return nudged(rng, example) if row % 2 else example


def reversed_relation(seed: int, row: int) -> Example:
    """A caption that begins with its relation, "below a red circle there is a blue star", with its plan.

    They are one in eleven of all captions, and the last to be planned right: where the first box lies depends
    on the first word.
    """
    rng = random.Random(f"reversed {seed} {row}")
    while True:
        example = sample_generation(rng)
        relation = example.request.relation
        if relation is not None and relation.first == 1:
            return nudged(rng, example) if row % 2 else example


def edit(seed: int, row: int, kind: str | None = None) -> Example:
    """An edit of a picture; in the sources of half of them two things share their colour or their shape.

    There the MLLM needs both words of an object's name to put the box around the right one. ``kind``: as for
    ``sample_edit``.
    """
    rng = random.Random(f"edit {seed} {row}")
    while True:
        example = sample_edit(rng, kind, layout=layout(rng), varied=rng.random() < VARIED)
        if example.source is not None and (row % 2 or confusable(example.source)):
            return example


def question(seed: int, row: int, vision_size: int) -> Question:
    """A question about a picture: what it shows, where everything is, or where some things are."""
    rng = random.Random(f"question {seed} {row}")
    source, look = shown_scene(rng)
    kind = rng.choice(("describe", "all", "some", "some"))
    if kind == "describe":
        return describing(source, look)
    if kind == "all":
        return locating_all(source, look, vision_size)
    return locating_some(rng, source, look, vision_size)


def shown_scene(rng: random.Random) -> tuple[Scene, Look]:
    """A scene to ask about, and how it is drawn."""
    source = sample_source(rng, layout(rng), REPEATED)
    if rng.random() < VARIED:
        return repainted(rng, source), sample_look(rng)
    return source, PLAIN


def shown_picture(rng: random.Random) -> tuple[Image.Image, Scene]:
    """A picture to look at, and what it shows."""
    scene, look = shown_scene(rng)
    return look.draw(scene), scene


def changed(task: str, seed: int, row: int) -> Example:
    """A plan that says something else than its prompt."""
    rng = random.Random(f"changed {task} {seed} {row}")
    if task == "generate":
        return changed_plan(rng)
    return changed_edit(rng, layout(rng), rng.random() < VARIED)


def drawn(task: str, seed: int, row: int, kind: str | None = None) -> Example:
    """A row to draw: every fourth generation and every sixth edit is a plan that differs from its prompt.

    ``kind``: of an edit, as for ``sample_edit``.
    """
    if is_changed(task, row):
        return changed(task, seed, row)
    return generation(seed, row) if task == "generate" else edit(seed, row, kind)


def encoded(task: str, seed: int, row: int) -> Example:
    """A row that the UNet learns to draw: two of three edits have several steps, of which each is an edit."""
    return drawn(task, seed, row, ("three-step", "multi-step", None)[row % 3])


def is_changed(task: str, row: int) -> bool:
    """Whether the plan of a drawn row differs from its prompt; the MLLM must not learn to write that."""
    return row % (4 if task == "generate" else 6) == 2


def layout(rng: random.Random) -> str:
    """Where the things of a source stand."""
    return rng.choices(LAYOUTS, LAYOUT_SHARES)[0]


def confusable(scene: Scene) -> bool:
    """Whether two things of a scene share their colour or their shape."""
    things = scene.things
    return len({thing.color for thing in things}) < len(things) or len(
        {thing.shape for thing in things}
    ) < len(things)
