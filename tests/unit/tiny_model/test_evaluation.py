"""Evaluation: its figures are right for right and for wrong pictures, and batches do what single calls do."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
import torch
from PIL import Image

from got_models.diffusion.settings import SamplingSettings
from got_models.pipeline import GoTModel
from tiny_model.evaluation.batches import Batches, stack
from tiny_model.evaluation.edits import edit_figures
from tiny_model.evaluation.looking import describes, locates
from tiny_model.evaluation.pictures import (
    Move,
    move_figures,
    obeys,
    picture_figures,
    position_figures,
    sample_move,
    unseen_figures,
)
from tiny_model.evaluation.plans import plan_figures
from tiny_model.evaluation.report import rate, spread, table
from tiny_model.evaluation.run import evaluate
from tiny_model.pretraining.initialize import initialize_checkpoint
from tiny_model.world.disagreements import CHANGES, changed_plan
from tiny_model.world.edits import sample_edit
from tiny_model.world.language import held_out, sample_generation
from tiny_model.world.scene import HELD_OUT_PAIRS, PICTURE_SIZE, Scene, Thing, draw

RED_CIRCLE = Thing("circle", "red", 10, 30, 33, 33)
BLUE_STAR = Thing("star", "blue", 60, 50, 51, 48)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Random weights, two denoising steps, short chains."""
    path = tmp_path_factory.mktemp("checkpoint")
    initialize_checkpoint(path, seed=0)
    model = GoTModel.from_pretrained(path)
    tasks = {name: replace(task, steps=2) for name, task in model.settings.tasks.items()}
    model.settings = replace(model.settings, tasks=tasks, max_new_tokens=24)
    return model


def examples_of(count: int, pairs: str = "seen"):
    rng = random.Random(3)
    return [sample_generation(rng, pairs=pairs) for _ in range(count)]


def chains_of(examples):
    return [example.chain for example in examples]


def pictures_of(examples):
    return [draw(example.target) for example in examples]


def recolored(scene: Scene) -> Scene:
    """Every thing in another colour, and none in a colour that the scene had."""
    used = {thing.color for thing in scene.things}
    free = next(color for color in ("red", "green", "blue", "yellow", "purple") if color not in used)
    return replace(scene, things=tuple(replace(thing, color=free) for thing in scene.things))


def test_true_plans_and_pictures_reach_every_figure():
    examples = examples_of(40)
    chains, pictures = chains_of(examples), pictures_of(examples)
    for figures in (
        plan_figures(examples, chains),
        picture_figures(examples, chains, pictures),
        position_figures(examples, chains, pictures),
    ):
        assert [figure["value"] for figure in figures.values()] == [1.0] * len(figures)
    objects = sum(len(example.target.things) for example in examples)
    assert picture_figures(examples, chains, pictures)["found"]["count"] == objects


def test_wrong_colors_blank_pictures_and_swapped_plans_reach_none():
    examples = examples_of(40)
    chains = chains_of(examples)
    wrong = [draw(recolored(example.target)) for example in examples]
    blank = [Image.new("RGB", (PICTURE_SIZE, PICTURE_SIZE), "white") for _ in examples]
    for pictures in (wrong, blank):
        assert picture_figures(examples, chains, pictures)["found"]["value"] == 0
        assert position_figures(examples, chains, pictures)["present"]["value"] == 0
        assert position_figures(examples, chains, pictures)["relation"]["value"] == 0
    assert picture_figures(examples, chains, wrong)["nothing_extra"]["value"] == 0
    assert plan_figures(examples, chains[1:] + chains[:1])["valid"]["value"] == 0


def test_only_never_seen_pairs_count_for_their_figure_and_one_left_out_is_a_miss():
    examples = examples_of(20, pairs="unseen")
    asked = sum(thing.pair in HELD_OUT_PAIRS for example in examples for thing in example.target.things)
    right = unseen_figures(examples, chains_of(examples), pictures_of(examples))
    assert right["found"] == {"value": 1.0, "count": asked, "bar": 0.90}
    empty = [type(chain).read("", chain.task, chain.prompt) for chain in chains_of(examples)]
    missed = unseen_figures(examples, empty, pictures_of(examples))
    assert (missed["found"]["value"], missed["found"]["count"]) == (0, asked)


def moved_picture(example, move: Move) -> Image.Image:
    """The example drawn with the thing of the moved region at its new place."""
    left, top, _, _ = move.after.regions[move.index].box.to_pixels(PICTURE_SIZE, PICTURE_SIZE)
    things = list(example.target.things)
    things[move.index] = replace(things[move.index], left=left, top=top)
    return draw(replace(example.target, things=tuple(things)))


def test_a_move_changes_one_box_and_no_word_and_keeps_clear_of_the_others():
    rng = random.Random(0)
    moves = [move for chain in chains_of(examples_of(60)) if (move := sample_move(rng, chain))]
    assert len(moves) > 50
    for move in moves:
        old, new = move.before.regions, move.after.regions
        assert [region.phrase for region in old] == [region.phrase for region in new]
        assert [index for index in range(len(old)) if old[index].box != new[index].box] == [move.index]
        assert all(
            new[move.index].box.iou(new[other].box) == 0 for other in range(len(new)) if other != move.index
        )
        before, after = old[move.index].box, new[move.index].box
        assert (after.x2 - after.x1, after.y2 - after.y1) == (before.x2 - before.x1, before.y2 - before.y1)
        assert before.iou(after) < 0.2


def test_an_object_that_follows_its_box_counts_and_one_that_stays_does_not():
    rng = random.Random(0)
    pairs = [(example, move) for example in examples_of(40) if (move := sample_move(rng, example.chain))]
    moves = [move for _, move in pairs]
    followed = move_figures(moves, [moved_picture(example, move) for example, move in pairs])
    assert followed["follows"]["value"] == 1.0 and followed["others_in_place"]["value"] == 1.0
    stayed = move_figures(moves, [draw(example.target) for example, _ in pairs])
    assert stayed["follows"]["value"] == 0.0 and stayed["others_in_place"]["value"] == 1.0


def test_an_object_at_both_its_places_does_not_follow():
    example = next(example for example in examples_of(20) if example.kind == "single")
    move = sample_move(random.Random(0), example.chain)
    left, top, _, _ = move.after.regions[0].box.to_pixels(PICTURE_SIZE, PICTURE_SIZE)
    (thing,) = example.target.things
    both = draw(replace(example.target, things=(thing, replace(thing, left=left, top=top))))
    assert move_figures([move], [both])["follows"]["value"] == 0.0


def test_a_full_picture_leaves_no_free_place():
    example = examples_of(1)[0]
    text = "There is a red square <|box_start|>(0,0),(999,999)<|box_end|> (red)."
    chain = type(example.chain).parse(text, "generate", "a red square")
    assert sample_move(random.Random(0), chain) is None


def test_edits_are_reported_in_all_and_by_kind():
    rng = random.Random(0)
    edits = [sample_edit(rng, kind) for kind in ("recolor", "remove", "recolor", "move")]
    sources, targets = [draw(edit.source) for edit in edits], [draw(edit.target) for edit in edits]
    figures = edit_figures(edits, chains_of(edits), sources, [*targets[:2], *sources[2:]])
    assert figures["happened"] == {"value": 0.5, "count": 4, "bar": 0.92}
    assert {kind: figures[kind]["happened"]["value"] for kind in ("recolor", "remove", "move")} == {
        "recolor": 0.5,
        "remove": 1.0,
        "move": 0.0,
    }
    assert figures["median_psnr_outside"]["value"] == 100.0


def test_a_description_is_right_if_it_names_each_thing_once_and_the_background():
    scene = Scene("light gray", (RED_CIRCLE, BLUE_STAR))
    assert describes("A red circle and a blue star on a light gray background.", scene)
    assert not describes("A red circle and a blue star on a dark gray background.", scene)
    assert not describes("A red circle on a light gray background.", scene)
    assert not describes("A red circle, a red circle and a blue star on a light gray background.", scene)
    assert not describes("A red star and a blue circle on a light gray background.", scene)


def test_things_are_located_if_each_has_one_box_around_it_under_its_name():
    def answer(*entries):
        return json.dumps([{"bbox_2d": box, "label": label} for box, label in entries])

    things = (RED_CIRCLE, BLUE_STAR)
    circle, star = ([edge * 2 for edge in thing.pixel_box] for thing in things)
    assert locates(answer((circle, "red circle"), (star, "blue star")), things, 256)
    assert locates(answer((star, "a blue star"), (circle, "red circle")), things, 256)
    assert not locates(answer((circle, "blue star"), (star, "red circle")), things, 256)
    assert not locates(answer((circle, "red circle")), things, 256)
    assert not locates(answer((circle, "red circle"), (star, "blue star"), (star, "blue star")), things, 256)
    assert not locates(answer((circle, "red circle"), (star, "blue star")), things, 128)
    assert not locates("I see a red circle and a blue star.", things, 256)
    assert locates("[]", (), 256)


def test_a_picture_obeys_a_changed_plan_and_not_its_prompt():
    rng = random.Random(3)
    for change in CHANGES:
        row = changed_plan(rng, change, evaluation=True)
        assert held_out(row.prompt)
        asked_for = replace(row.target, background="white" if row.target.background != "white" else "black")
        assert obeys(row, draw(row.target))
        assert not obeys(row, draw(asked_for))


def test_a_rate_of_nothing_has_no_value():
    assert rate([], bar=0.5) == {"value": None, "count": 0, "bar": 0.5}
    assert rate([True, True, False, True])["value"] == 0.75


def test_the_table_says_which_bars_were_missed_and_sets_the_ablation_side_by_side():
    row = {"position": rate([True]), "relation": rate([]), "present": rate([True, False])}
    text = table(
        {
            "plans": {"valid": rate([True], bar=0.98), "objects_right": rate([False], bar=0.5)},
            "ablation": {"no_chain": row, "full": row},
        }
    )
    lines = text.splitlines()
    assert "reached" in lines[1] and "MISSED" in lines[2]
    assert lines[-1].split() == ["full", "1.000", "-", "0.500"]


def test_failures_are_taken_evenly_and_never_too_many():
    picture = Image.new("RGB", (1, 1))
    assert [title for title, _ in spread([(str(i), picture) for i in range(100)])][:3] == ["0", "5", "10"]
    assert len(spread([("", picture)] * 500)) <= 24


def test_batched_reasoning_writes_what_single_calls_write(model):
    rng = random.Random(5)
    examples = [sample_generation(rng) for _ in range(3)]
    assert len({len(example.prompt) for example in examples}) > 1  # so that padding is at work
    batched = Batches(model, 3, seed=0).reason(examples)
    assert batched == [model.reason(example.prompt) for example in examples]
    edits = [sample_edit(rng) for _ in range(3)]
    sources = [draw(edit.source) for edit in edits]
    batched = Batches(model, 2, seed=0).reason(edits, sources)
    assert batched == [model.reason(edit.prompt, source) for edit, source in zip(edits, sources, strict=True)]


def test_stacked_guidance_is_sampled_like_single_guidance(model):
    guidances = [model.encode(chain) for chain in chains_of(examples_of(3))]
    stacked = stack(guidances)
    assert stacked.semantic.shape[0] == 3
    first = model.sample_latents(stack(guidances[:1]), SamplingSettings(seed=4))
    assert torch.equal(first, model.sample_latents(guidances[0], SamplingSettings(seed=4)))
    noise = model.sample_latents(stacked, SamplingSettings(seed=4))
    alone = model.sample_latents(stack([guidances[2], guidances[1], guidances[0]]), SamplingSettings(seed=4))
    assert torch.allclose(noise[1], alone[1], atol=1e-5)  # its neighbours do not touch it
    assert not torch.allclose(noise[0], alone[0], atol=1e-5)


def test_the_ablation_starts_from_the_noise_of_the_full_pictures(model):
    guidances = [model.encode(chain) for chain in chains_of(examples_of(3))]
    at_work = Batches(model, 2, seed=9)
    first, second = (at_work.sample(guidances, "pictures") for _ in range(2))
    assert [picture.tobytes() for picture in first] == [picture.tobytes() for picture in second]
    assert len({picture.tobytes() for picture in first}) == 3


def test_evaluate_writes_figures_and_sheets_and_prints_the_table(model, tmp_path, capsys):
    out = tmp_path / "results"
    quick = SamplingSettings(steps=1, scheduler="euler")
    figures = evaluate(model, n=2, ablate=True, out=out, batch_size=2, sampling=quick)
    assert json.loads((out / "figures.json").read_text()) == figures
    assert {path.name for path in out.iterdir()} == {"figures.json", "contact_sheet.png", "failures.png"}
    assert Image.open(out / "contact_sheet.png").width > 2 * PICTURE_SIZE
    assert figures["plans"]["valid"] == {"value": 0.0, "count": 2, "bar": 0.98}  # random weights
    assert list(figures["ablation"]) == ["no_chain", "no_spatial_guidance", "full"]
    sections = {
        "looking",
        "plans",
        "pictures",
        "looking at drawn",
        "never seen pairs",
        "moved boxes",
        "changed plans",
        "edits",
    }
    assert {*sections, "edits anywhere", "geneval classes", "ablation"} == set(figures["seconds"])
    assert set(figures["changed_plans"]) == set(CHANGES)
    assert "MISSED" in capsys.readouterr().out
