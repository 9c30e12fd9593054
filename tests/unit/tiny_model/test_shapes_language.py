"""Captions, chains and edits of the shapes world say what the scenes show."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from got_models.chain.chain import ReasoningChain
from tiny_model.world.edits import EDIT_KINDS, quadrant_of, sample_edit
from tiny_model.world.language import COUNT_WORDS, GAP, GRID_STEP, held_out, nudged, sample_generation
from tiny_model.world.layouts import LAYOUTS
from tiny_model.world.scene import COLORS, HELD_OUT_PAIRS, NEW_COLOR, NEW_SHAPE, SHAPES


def overlap(first, second) -> bool:
    return first.x1 < second.x2 and second.x1 < first.x2 and first.y1 < second.y2 and second.y1 < first.y2


def test_a_tenth_of_the_pairs_is_held_out():
    assert round(len(HELD_OUT_PAIRS) / (len(COLORS) * len(SHAPES)), 1) == 0.1


def test_training_rows_never_show_a_held_out_pair_nor_a_held_out_prompt():
    rng = random.Random(1)
    for _ in range(500):
        for example in (sample_generation(rng), sample_edit(rng)):
            scenes = [example.target] + ([example.source] if example.source else [])
            assert all(thing.pair not in HELD_OUT_PAIRS for scene in scenes for thing in scene.things)
            assert not held_out(example.prompt)


def test_evaluation_prompts_are_all_held_out_and_unseen_ones_hold_an_unseen_pair():
    rng = random.Random(2)
    for _ in range(100):
        example = sample_generation(rng, pairs="unseen", evaluation=True)
        assert held_out(example.prompt)
        assert any((wanted.color, wanted.shape) in HELD_OUT_PAIRS for wanted in example.request.objects)
        assert held_out(sample_edit(rng, evaluation=True).prompt)


def test_new_captions_ask_for_a_new_color_or_shape_and_explicit_ones_name_every_size() -> None:
    rng = random.Random(6)
    for _ in range(100):
        example = sample_generation(rng, pairs="new", explicit=True)
        objects = example.request.objects
        assert any(wanted.color == NEW_COLOR or wanted.shape == NEW_SHAPE for wanted in objects)
        assert all(wanted.size and wanted.size in example.prompt for wanted in objects)
        assert f"on a {example.request.background} background" in example.prompt
        assert "crosss" not in example.prompt


def test_chains_hold_each_thing_in_its_box_without_overlap():
    rng = random.Random(3)
    for _ in range(300):
        example = sample_generation(rng)
        assert example.chain.task == "generate"
        assert [region.box for region in example.chain.regions] == [
            thing.box for thing in example.target.things
        ]
        for region, thing in zip(example.chain.regions, example.target.things, strict=True):
            assert region.phrase.endswith(f"{thing.size} {thing.color} {thing.shape}")
        boxes = [region.box for region in example.chain.regions]
        assert not any(overlap(a, b) for index, a in enumerate(boxes) for b in boxes[:index])


def test_the_caption_names_what_the_scene_shows():
    rng = random.Random(4)
    for _ in range(300):
        example = sample_generation(rng)
        for wanted, thing in zip(example.request.objects, example.target.things, strict=True):
            assert (wanted.color, wanted.shape) == thing.pair
            assert f"{thing.color} {thing.shape}" in example.prompt
            assert wanted.size in (None, thing.size)
        if example.kind == "count":
            count = [thing.pair for thing in example.target.things].count(example.target.things[0].pair)
            assert COUNT_WORDS[count - 1] in example.prompt


def test_boxes_keep_the_relation_that_the_caption_names():
    rng = random.Random(5)
    seen = set()
    for _ in range(400):
        example = sample_generation(rng)
        relation = example.request.relation
        if relation is None:
            continue
        first, second = (example.target.things[index].box for index in (relation.first, relation.second))
        assert {
            "left of": first.x2 <= second.x1,
            "right of": second.x2 <= first.x1,
            "above": first.y2 <= second.y1,
            "below": second.y2 <= first.y1,
        }[relation.name]
        seen.add(relation.name)
    assert seen == {"left of", "right of", "above", "below"}


@pytest.mark.parametrize("kind", EDIT_KINDS)
def test_an_edit_changes_one_thing_in_the_way_it_says(kind):
    rng = random.Random(6)
    for _ in range(60):
        example = sample_edit(rng, kind)
        before, after = set(example.source.things), set(example.target.things)
        gone, new = before - after, after - before
        assert (len(gone), len(new)) == {"remove": (1, 0), "add": (0, 1)}.get(kind, (1, 1))
        if kind in ("recolor", "reshape"):
            (old,), (fresh,) = gone, new
            assert old.box == fresh.box == example.chain.regions[0].box
            assert (old.color == fresh.color) == (kind == "reshape")
        if kind == "move":
            (old,), (fresh,) = gone, new
            assert old.pair == fresh.pair and quadrant_of(old) != quadrant_of(fresh)
            assert [region.box for region in example.chain.regions] == [old.box, fresh.box]
        assert len(example.contents) == len(example.chain.regions)


def test_multi_step_edits_name_both_steps_in_numbered_sentences():
    example = sample_edit(random.Random(7), "multi-step")
    assert " and " in example.prompt or ", then " in example.prompt
    assert example.chain.text.count("The object to") == 2
    assert example.chain.text.startswith("1. The picture shows")


def corner_in_words(thing) -> str:
    left, top, right, bottom = thing.pixel_box
    return f"{'top' if top + bottom < 128 else 'bottom'} {'left' if left + right < 128 else 'right'}"


@pytest.mark.parametrize("layout", ["quarters", "generated"])
def test_sources_keep_to_the_quarters_or_are_laid_out_as_freely_as_generated_pictures(layout: str):
    rng = random.Random(11)
    across = 0
    for _ in range(200):
        things = sample_edit(rng, layout=layout).source.things
        assert len({corner_in_words(thing) for thing in things}) == len(things)
        boxes = [thing.box for thing in things]
        assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
        across += any(
            left < 64 < right or top < 64 < bottom
            for left, top, right, bottom in (thing.pixel_box for thing in things)
        )
    assert 40 < across < 200 if layout == "generated" else across == 0


def test_what_an_edit_puts_somewhere_covers_nothing():
    rng = random.Random(12)
    for kind in ("add", "move", "multi-step", "three-step"):
        for layout in LAYOUTS * 30:
            example = sample_edit(rng, kind, layout=layout)
            boxes = [thing.box for thing in example.target.things]
            assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
            if kind == "move":
                old, new = (region.box for region in example.chain.regions)
                assert not overlap(old, new)


def test_every_chain_parses_back_to_itself():
    rng = random.Random(8)
    for _ in range(100):
        for chain in (sample_generation(rng).chain, sample_edit(rng).chain):
            assert ReasoningChain.parse(chain.text, chain.task, chain.prompt) == chain


def test_the_same_seed_gives_the_same_rows():
    first, second = (
        [(sample_generation(rng), sample_edit(rng)) for rng in [random.Random(9)] * 3] for _ in range(2)
    )
    assert first == second


def test_without_a_relation_objects_stand_in_reading_order():
    rng = random.Random(6)
    for _ in range(300):
        example = sample_generation(rng)
        if example.request.relation is None and len(example.target.things) > 2:
            quadrants = [quadrant_of(thing) for thing in example.target.things]
            assert quadrants == sorted(set(quadrants))


def test_nudged_examples_keep_their_caption_and_never_touch_one_another():
    aligned = 0
    for row in range(200):
        rng = random.Random(row)
        before = sample_generation(rng)
        after = nudged(rng, before)
        assert after.prompt == before.prompt and after.contents == before.contents
        assert [region.box for region in after.chain.regions] == [thing.box for thing in after.target.things]
        for old, new in zip(before.target.things, after.target.things, strict=True):
            assert 0 <= new.left - old.left < GAP and 0 <= new.top - old.top < GAP
            aligned += new.left % GRID_STEP == 0 and new.top % GRID_STEP == 0
        boxes = [thing.box for thing in after.target.things]
        assert not any(overlap(one, other) for one, other in combinations(boxes, 2))
    assert aligned < 50
