"""GenEval's classes of tasks on the shapes world."""

from __future__ import annotations

import random
from dataclasses import replace

from tiny_model.evaluation.geneval import geneval_figures
from tiny_model.world.language import Example, sample_generation
from tiny_model.world.scene import COLORS, draw


def examples(kind: str, count: int = 6) -> list[Example]:
    rng = random.Random(kind)
    found: list[Example] = []
    while len(found) < count:
        example = sample_generation(rng)
        if example.kind == kind:
            found.append(example)
    return found


def recolored(example: Example) -> Example:
    """With the first thing in another colour, that nothing else has."""
    first, *rest = example.target.things
    taken = {thing.color for thing in example.target.things}
    other = replace(first, color=next(color for color in COLORS if color not in taken))
    return replace(example, target=replace(example.target, things=(other, *rest)))


def values(rows: list[Example]) -> dict[str, float | None]:
    figures = geneval_figures(rows, [draw(row.target) for row in rows])
    return {name: figure["value"] for name, figure in figures.items()}


def test_pictures_as_asked_reach_every_class() -> None:
    rows = [row for kind in ("single", "count", "relation") for row in examples(kind)]
    assert set(values(rows).values()) == {1.0}


def test_another_colour_is_seen_in_colours_and_counts_but_the_object_is_there() -> None:
    found = values([recolored(row) for row in examples("single")])
    assert found["single_object"] == 1.0 and found["colors"] == 0.0 and found["counting"] is None
    assert values([recolored(row) for row in examples("count")])["counting"] == 0.0


def test_swapped_places_lose_the_position() -> None:
    rows = []
    for row in examples("relation"):
        one, other = row.target.things
        swapped = (
            replace(one, color=other.color, shape=other.shape),
            replace(other, color=one.color, shape=one.shape),
        )
        if one.pair != other.pair:
            rows.append(replace(row, target=replace(row.target, things=swapped)))
    found = values(rows)
    assert found["position"] == 0.0 and found["color_attr"] == 1.0
