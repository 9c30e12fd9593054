"""How well a checkpoint has learned the new things of ``lesson``: in given boxes, and in its own plans."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from got_models.chain.chain import ReasoningChain
from got_models.pipeline import GoTModel

from ..world.language import Example, sample_generation
from ..world.scene import NEW_COLOR, NEW_SHAPE
from ..world.scoring import drawn_in_box, expected_objects, score_plan
from .batches import Batches
from .report import SHEET_ROWS, Figures, Row, plan_row, rate, table, write_results
from .run import timed

DRAWN_BAR = 0.8


def evaluate_lesson(
    model: GoTModel, n: int = 60, out: Path = Path("evaluation"), seed: int = 0, batch_size: int = 25
) -> Figures:
    """Draws held-out captions with new things, from their true plans and from the model's own.

    Writes figures.json, contact_sheet.png and, when there are any, failures.png; prints the figures.

    Args:
        n: number of captions.
        out: folder for the results; created if missing.
        seed: for the captions and for the noise, which is the same for both plans.
        batch_size: prompts or pictures at a time.
    """
    rng = random.Random(seed)
    at_work = Batches(model, batch_size, seed)
    figures: Figures = {"n": n, "seed": seed, "checkpoint": str(model.path)}
    seconds: dict[str, float] = {}
    examples = [sample_generation(rng, pairs="new", evaluation=True) for _ in range(n)]
    with timed("given plans", seconds):
        given = [example.chain for example in examples]
        pictures = at_work.sample(at_work.encode(given), "given plans")
        figures["given_plans"] = new_thing_figures(examples, given, pictures)
    with timed("own plans", seconds):
        own = at_work.reason(examples)
        own_pictures = at_work.sample(at_work.encode(own), "own plans")
        valid = [
            score_plan(chain, example.request).valid for example, chain in zip(examples, own, strict=True)
        ]
        figures["own_plans"] = {
            "plan_valid": rate(valid),
            **new_thing_figures(examples, own, own_pictures),
        }
    figures["seconds"] = {name: round(value, 1) for name, value in seconds.items()}
    rows: list[Row] = [plan_row(*pair) for pair in zip(own, own_pictures, strict=True)]
    failures = [
        row
        for row, example, chain, picture in zip(rows, examples, own, own_pictures, strict=True)
        if not all(hit for _, hit in new_things_drawn(example, chain, picture))
    ]
    print(table(figures))  # first, so that the figures are not lost if the disk is full
    write_results(out, figures, rows[:SHEET_ROWS], failures)
    return figures


def new_thing_figures(
    examples: Sequence[Example], chains: Sequence[ReasoningChain], pictures: Sequence[Image.Image]
) -> Figures:
    """How often the new things in captions are drawn in their boxes, overall and by what is new."""
    hits = [
        result
        for example, chain, picture in zip(examples, chains, pictures, strict=True)
        for result in new_things_drawn(example, chain, picture)
    ]
    return {
        "drawn_in_box": rate([hit for _, hit in hits], bar=DRAWN_BAR),
        "brown_crosses": rate([hit for pair, hit in hits if pair == (NEW_COLOR, NEW_SHAPE)]),
        "crosses_in_old_colors": rate([hit for (color, _), hit in hits if color != NEW_COLOR]),
        "old_shapes_in_brown": rate([hit for (_, shape), hit in hits if shape != NEW_SHAPE]),
    }


def new_things_drawn(
    example: Example, chain: ReasoningChain, picture: Image.Image
) -> list[tuple[tuple[str, str], bool]]:
    """For each new thing in the caption, its pair and whether it is drawn; an unplanned one is a miss."""
    planned = expected_objects(chain)
    results = []
    for wanted in example.request.objects:
        pair = (wanted.color, wanted.shape)
        if NEW_COLOR in pair or NEW_SHAPE in pair:
            place = next((place for place in planned if place[:2] == pair), None)
            if place is not None:
                planned.remove(place)
            results.append((pair, place is not None and drawn_in_box(picture, *place)))
    return results
