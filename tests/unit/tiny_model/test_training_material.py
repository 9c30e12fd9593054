"""What the bundled model is trained on: rows on and off the grid, sources as the world is, plans that win."""

from __future__ import annotations

import random
import re
from collections import Counter
from itertools import combinations

import pytest

from got_models.chain.chain import GRID, Box
from got_models.chain.notations import read_plan
from tiny_model.pretraining.rows import (
    confusable,
    drawn,
    edit,
    encoded,
    generation,
    is_changed,
    question,
    reversed_relation,
)
from tiny_model.pretraining.stages.collages import collage, sample_thing, tile
from tiny_model.world.disagreements import CHANGES, changed_edit, changed_plan
from tiny_model.world.edits import STEPS
from tiny_model.world.found_objects import intersection_over_union
from tiny_model.world.language import GRID_STEP
from tiny_model.world.layouts import LARGEST, SMALLEST, sample_source
from tiny_model.world.looks import PLAIN, repainted, sample_look
from tiny_model.world.scene import HELD_OUT_PAIRS, PICTURE_SIZE, SHAPES
from tiny_model.world.scoring import named_object, psnr, score_plan

VISION_SIZE = 224


def on_the_grid(coordinate: int) -> bool:
    return any(
        abs(coordinate - line * GRID / PICTURE_SIZE) <= 1 for line in range(0, PICTURE_SIZE, GRID_STEP)
    )


def test_every_second_generation_lies_off_the_grid_and_the_others_on_it():
    for row in range(40):
        boxes = [region.box for region in generation(0, row).chain.regions]
        if row % 2 == 0:
            assert all(on_the_grid(corner) for box in boxes for corner in (box.x1, box.y1))
    assert any(
        not on_the_grid(region.box.x1)
        for row in range(1, 40, 2)
        for region in generation(0, row).chain.regions
    )


def test_a_reversed_relation_names_the_second_object_first_and_its_plan_obeys():
    begins = set()
    for row in range(40):
        example = reversed_relation(0, row)
        begins.add(example.prompt.split()[0])
        score = score_plan(example.chain, example.request)
        assert score.valid
        first, second = (region.phrase.split()[-2:] for region in example.chain.regions)
        assert example.prompt.index(" ".join(first)) < example.prompt.rindex(" ".join(second))
    assert begins == {"to", "on", "left", "right", "above", "over", "below", "under"}


def test_half_of_the_edits_have_a_source_with_two_things_of_one_color_or_shape():
    for row in range(0, 40, 2):
        things = edit(0, row).source.things
        pairs = list(combinations(things, 2))
        assert any(first.color == second.color or first.shape == second.shape for first, second in pairs)
    assert not all(confusable(edit(0, row).source) for row in range(1, 40, 2))


def test_things_anywhere_have_any_size_at_any_pixel_up_to_the_edges_and_never_overlap():
    rng = random.Random(1)
    counts, lefts, sides, at_the_edge, least = Counter(), set(), set(), 0, PICTURE_SIZE
    for _ in range(400):
        things = sample_source(rng, "anywhere").things
        counts[len(things)] += 1
        for thing in things:
            left, top, right, bottom = thing.pixel_box
            assert 0 <= left < right <= PICTURE_SIZE and 0 <= top < bottom <= PICTURE_SIZE
            at_the_edge += left == 0 or top == 0 or right == PICTURE_SIZE or bottom == PICTURE_SIZE
            lefts.add(left % GRID_STEP)
            sides.add(thing.width)
            assert SMALLEST - 3 <= thing.height <= LARGEST
        for first, second in combinations(things, 2):
            assert intersection_over_union(first.pixel_box, second.pixel_box) == 0
            (a, b, c, d), (e, f, g, h) = first.pixel_box, second.pixel_box
            least = min(least, max(e - c, a - g, f - d, b - h))
        assert [thing.center[0] for thing in things] == sorted(thing.center[0] for thing in things)
    assert set(counts) == {1, 2, 3, 4}
    assert lefts == set(range(GRID_STEP))
    assert len(sides) > 35
    assert at_the_edge > 40
    assert least == 1


def test_sources_come_in_other_tones_and_other_looks_and_their_edits_leave_the_rest_as_it_was():
    tones, looks = set(), set()
    for row in range(60):
        example = edit(0, row)
        if example.source.paint is None:
            continue
        tones |= {thing.rgb for thing in example.source.things}
        looks.add(example.look)
        boxes = [region.box for region in example.chain.regions]
        source, target = (example.look.draw(scene) for scene in (example.source, example.target))
        grown = [
            Box(max(box.x1 - 70, 0), max(box.y1 - 70, 0), min(box.x2 + 70, 999), min(box.y2 + 70, 999))
            for box in boxes
        ]  # compression and blur spread a change over its neighbourhood
        assert psnr(source, target, grown) > 40
    assert len(tones) > 60
    assert len(looks) > 20


def test_a_look_can_be_drawn_again_and_no_two_are_the_same():
    rng = random.Random(3)
    scene = repainted(rng, sample_source(rng, "anywhere"))
    looks = [sample_look(rng) for _ in range(12)]
    assert all(look.draw(scene).tobytes() == look.draw(scene).tobytes() for look in looks)
    assert len({look.draw(scene).tobytes() for look in looks}) == len(looks)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_plan_says_what_its_picture_shows_and_its_prompt_does_not(change):
    rng = random.Random(change)
    for _ in range(60):
        example = changed_plan(rng, change)
        regions = example.chain.regions
        assert [region.box for region in regions] == [thing.box for thing in example.target.things]
        named = [named_object(region.phrase) for region in regions]
        assert [(item.color, item.shape) for item in named] == list(example.contents)
        assert tuple(thing.pair for thing in example.target.things) == example.contents
        assert not HELD_OUT_PAIRS & set(example.contents)
        assert f"{example.target.background} background" in example.chain.text
        asked = Counter((item.color, item.shape) for item in example.request.objects)
        if change == "background":
            assert asked == Counter(example.contents)
            assert example.request.background in (None, *("white", "light gray", "dark gray", "black"))
            assert example.request.background != example.target.background
        else:
            assert asked != Counter(example.contents)


def test_a_changed_edit_draws_its_chain_and_not_its_instruction():
    rng = random.Random(4)
    for _ in range(60):
        example = changed_edit(rng, "anywhere", varied=True)
        result = re.search(r"The result shows (.*) on a", example.chain.text)[1]
        for thing in example.target.things:
            assert f"{thing.color} {thing.shape}" in result


def test_the_plans_of_some_drawn_rows_differ_from_their_prompts():
    assert [row for row in range(12) if is_changed("generate", row)] == [2, 6, 10]
    assert [row for row in range(12) if is_changed("edit", row)] == [2, 8]
    for row in (2, 6, 10):
        example = drawn("generate", 0, row)
        asked = Counter((item.color, item.shape) for item in example.request.objects)
        assert asked != Counter(example.contents) or example.request.background != example.target.background


def test_the_answer_to_a_question_names_and_places_what_the_picture_shows():
    kinds = Counter()
    for row in range(200):
        asked = question(0, row, VISION_SIZE)
        kinds[asked.words.split(" in ")[0][:12]] += 1
        if asked.words.startswith("Describe"):
            assert all(f"{thing.color} {thing.shape}" in asked.answer for thing in asked.source.things)
            assert asked.source.background in asked.answer
        elif not asked.located:
            assert "[]" in asked.answer
        else:
            plan = read_plan(asked.answer, notation="qwen2.5-vl", size=(VISION_SIZE, VISION_SIZE))
            for element, thing in zip(plan.elements, asked.located, strict=True):
                assert element.phrase == f"{thing.color} {thing.shape}"
                for found, edge in zip(element.box, thing.pixel_box, strict=True):
                    assert found * PICTURE_SIZE == pytest.approx(edge, abs=0.3)
            if "every object" in asked.words:
                assert asked.located == asked.source.things
    assert min(kinds[words] for words in ("Describe thi", "Locate every", "Locate the b")) > 10
    assert any(not question(0, row, VISION_SIZE).located for row in range(60))


def test_collages_hold_whole_things_of_every_shape_and_size_on_backgrounds_of_their_own():
    shapes, sides = Counter(), []
    for seed in range(12):
        side = 32 if seed % 2 else 64
        picture = tile(random.Random(seed), side, PLAIN)
        assert picture.size == (side, side)
        thing = sample_thing(random.Random(seed), 32, over=0)
        assert 0 <= thing.left <= 32 - thing.width and 0 <= thing.top <= 32 - thing.height
        shapes[thing.shape] += 1
        sides.append(thing.width)
    assert set(shapes) == set(SHAPES)
    assert min(sides) < 20 and max(sides) > 26
    backgrounds = {collage(random.Random(1)).getpixel((x, 0)) for x in range(0, PICTURE_SIZE, 32)}
    assert len(backgrounds) > 1


def test_two_of_three_edits_to_draw_have_several_steps_and_every_sixth_differs_from_its_prompt() -> None:
    rows = [encoded("edit", 0, row) for row in range(60)]
    assert sum(row.kind in STEPS for row in rows) >= 40
    assert {row.kind for row in rows} > {"three-step", "multi-step"}
    for row in range(2, 60, 6):
        assert rows[row] == drawn("edit", 0, row)
