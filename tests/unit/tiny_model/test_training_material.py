"""What the bundled model is trained on: boxes on and off the grid, easily mixed up sources, whole shapes."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from got_models.chain.chain import GRID
from tiny_model.pretraining.data import confusable_edit_example
from tiny_model.pretraining.stages.collages import four_shapes
from tiny_model.pretraining.stages.rows import drawn_example, off_grid
from tiny_model.world.found_objects import find_objects
from tiny_model.world.language import GRID_STEP, QUADRANTS
from tiny_model.world.scene import PICTURE_SIZE


def on_the_grid(coordinate: int) -> bool:
    return any(
        abs(coordinate - line * GRID / PICTURE_SIZE) <= 1 for line in range(0, PICTURE_SIZE, GRID_STEP)
    )


def test_every_second_generation_lies_off_the_grid_and_no_edit_does():
    for row in range(40):
        for task in ("generate", "edit"):
            boxes = [region.box for region in drawn_example(task, 0, row).chain.regions]
            corners = [corner for box in boxes for corner in (box.x1, box.y1)]
            assert off_grid(task, row) or all(map(on_the_grid, corners))
    nudged = [row for row in range(40) if off_grid("generate", row)]
    assert nudged == list(range(1, 40, 2))
    assert any(
        not on_the_grid(region.box.x1)
        for row in nudged
        for region in drawn_example("generate", 0, row).chain.regions
    )


def test_easily_mixed_up_sources_hold_two_things_of_one_color_or_shape():
    for row in range(20):
        things = confusable_edit_example(0, row).source.things
        pairs = list(combinations(things, 2))
        assert any(first.color == second.color or first.shape == second.shape for first, second in pairs)


@pytest.mark.parametrize("seed", range(8))
def test_a_collage_of_whole_shapes_holds_one_in_each_quarter(seed):
    picture = four_shapes(random.Random(seed))
    for left, top, right, bottom in QUADRANTS:
        found = find_objects(picture.crop((left, top, right, bottom)).resize((PICTURE_SIZE, PICTURE_SIZE)))
        assert len(found) == 1
