"""The bundled lesson is what its code makes and shows what it should; wrong pictures of it score nothing."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from got_models.chain.chain import ReasoningChain
from got_models.constants import BUNDLED_CHECKPOINT
from got_models.dataset.rows import read_dataset
from got_models.training.config import read_config
from tiny_model.evaluation.lesson import new_thing_figures
from tiny_model.world.language import held_out, plural, sample_generation
from tiny_model.world.lesson import lesson, lesson_files
from tiny_model.world.scene import ALL_COLORS, COLORS, HELD_OUT_PAIRS, NEW_COLOR, NEW_SHAPE, SHAPES, draw

FOLDER = Path(__file__).parents[3] / "lessons" / "brown_crosses"


def test_the_bundled_pictures_and_rows_are_what_the_code_makes() -> None:
    files = lesson_files()
    pictures = {name: content for name, content in files.items() if name.endswith(".png")}
    assert {path.name for path in FOLDER.glob("*.png")} == set(pictures)
    assert (FOLDER / "data.jsonl").read_bytes() == files["data.jsonl"]
    for name, content in pictures.items():
        with Image.open(FOLDER / name) as bundled, Image.open(io.BytesIO(content)) as made:
            assert bundled.size == (128, 128)
            assert np.array_equal(np.asarray(bundled), np.asarray(made)), name


def test_every_row_of_the_bundled_set_can_be_used_and_fits_its_picture() -> None:
    dataset = read_dataset(FOLDER)
    assert (len(dataset.rows), dataset.invalid) == (40, ())
    for row, example in zip(dataset.rows, lesson(), strict=True):
        assert row.chain == example.chain
        assert (row.source is None) == (example.source is None)
        if example.source is None:
            assert [region.box for region in row.chain.regions] == [
                thing.box for thing in example.target.things
            ]


def test_the_bundled_config_trains_the_bundled_checkpoint_on_the_bundled_set_and_knows_its_new_words() -> (
    None
):
    config = read_config(FOLDER / "train.yaml")
    assert Path(config.dataset).samefile(FOLDER)
    assert Path(config.checkpoint).samefile(BUNDLED_CHECKPOINT)
    assert config.mllm.new_words == {
        NEW_COLOR: " ".join(COLORS),
        NEW_SHAPE: " ".join(SHAPES),
        plural(NEW_SHAPE): " ".join(map(plural, SHAPES)),
    }


def test_the_lesson_shows_both_new_things_together_each_with_every_old_one_and_edits_of_old_things() -> None:
    examples = lesson()
    pairs = {thing.pair for example in examples for thing in example.target.things}
    assert (NEW_COLOR, NEW_SHAPE) in pairs
    assert {(color, NEW_SHAPE) for color in COLORS} | {(NEW_COLOR, shape) for shape in SHAPES} <= pairs
    old = [
        example.task
        for example in examples
        if not any(NEW_COLOR in thing.pair or NEW_SHAPE in thing.pair for thing in example.target.things)
    ]
    assert old == ["edit"] * 10
    assert not HELD_OUT_PAIRS & pairs
    assert not any(held_out(example.prompt) for example in examples)


def test_every_new_pair_is_shown_at_least_four_times_and_by_two_kinds_of_caption() -> None:
    kinds: dict[tuple[str, str], list[str]] = {}
    for example in lesson():
        for thing in example.target.things:
            if NEW_COLOR in thing.pair or NEW_SHAPE in thing.pair:
                kinds.setdefault(thing.pair, []).append(example.kind)
    assert len(kinds) == len(COLORS) + len(SHAPES) + 1
    assert all(len(shown) >= 4 and len(set(shown)) >= 2 for shown in kinds.values())


@pytest.fixture(scope="module")
def examples():
    rng = random.Random(4)
    return [sample_generation(rng, pairs="new", evaluation=True) for _ in range(40)]


def figures(examples, scenes=None, chains=None):
    scenes = scenes or [example.target for example in examples]
    chains = chains or [example.chain for example in examples]
    return new_thing_figures(examples, chains, [draw(scene) for scene in scenes])


def changed(example, color: str = NEW_COLOR, shape: str = NEW_SHAPE):
    """The scene with another colour in the place of brown, or another shape in that of the cross."""
    things = tuple(
        replace(
            thing,
            color=color if thing.color == NEW_COLOR else thing.color,
            shape=shape if thing.shape == NEW_SHAPE else thing.shape,
        )
        for thing in example.target.things
    )
    return replace(example.target, things=things)


def test_true_pictures_and_plans_reach_every_figure(examples) -> None:
    for figure in figures(examples).values():
        assert figure["value"] == 1
        assert figure["count"] >= 10


def test_another_shape_in_the_place_of_a_cross_scores_nothing(examples) -> None:
    scores = figures(examples, [changed(e, shape=s) for e, s in zip(examples, cycle(SHAPES))])
    assert scores["brown_crosses"]["value"] == scores["crosses_in_old_colors"]["value"] == 0
    assert scores["old_shapes_in_brown"]["value"] == 1


def test_another_color_in_the_place_of_brown_scores_nothing(examples) -> None:
    scores = figures(examples, [changed(e, color=c) for e, c in zip(examples, cycle(COLORS))])
    assert scores["brown_crosses"]["value"] == scores["old_shapes_in_brown"]["value"] == 0


def test_a_thing_beside_its_box_a_smeared_one_and_a_missing_one_score_nothing(examples) -> None:
    aside = [
        replace(
            example.target,
            things=tuple(replace(thing, left=thing.left + 24) for thing in example.target.things),
        )
        for example in examples
    ]
    nothing = [replace(example.target, things=()) for example in examples]
    for scenes in (aside, nothing):
        assert figures(examples, scenes)["drawn_in_box"]["value"] == 0
    chains = [example.chain for example in examples]
    for color in ALL_COLORS.values():
        flooded = new_thing_figures(examples, chains, [Image.new("RGB", (128, 128), color)] * len(examples))
        assert flooded["drawn_in_box"]["value"] == 0


def test_a_new_thing_that_the_plan_leaves_out_is_a_miss(examples) -> None:
    for phrase in ("a small red circle", "a thing without a name"):
        text = f"There is {phrase} <|box_start|>(0,0),(250,250)<|box_end|> (red)."
        plans = [ReasoningChain.parse(text, "generate", example.prompt) for example in examples]
        missed = figures(examples, chains=plans)["drawn_in_box"]
        assert missed["value"] == 0
        assert missed["count"] == figures(examples)["drawn_in_box"]["count"]
