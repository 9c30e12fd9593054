"""Scoring reads pixels and boxes: it accepts what was drawn as asked and refuses every wrong picture."""

from __future__ import annotations

import io
import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from got_models.chain.chain import Box, ReasoningChain
from got_models.errors import GoTError
from tiny_model.world.edits import EDIT_KINDS, sample_edit
from tiny_model.world.found_objects import components, find_background, find_objects
from tiny_model.world.language import Relation, Request, Wanted, sample_generation
from tiny_model.world.scene import BACKGROUNDS, COLORS, SHAPES, SIZES, Scene, Thing, draw
from tiny_model.world.scoring import (
    expected_objects,
    named_object,
    present_objects,
    psnr,
    relation_shown,
    score_edit,
    score_picture,
    score_plan,
)

RED_CIRCLE = Thing.of_size("circle", "red", "medium", 10, 20)
BLUE_STAR = Thing.of_size("star", "blue", "large", 70, 60)
SCENE = Scene("white", (RED_CIRCLE, BLUE_STAR))


def expected(scene: Scene):
    return [(thing.color, thing.shape, thing.box) for thing in scene.things]


def plan(text: str) -> ReasoningChain:
    return ReasoningChain.parse(text, task="generate", prompt="anything")


def damaged(picture: Image.Image) -> Image.Image:
    """Blurred, noisy and stored as JPEG: worse than what a VAE does to flat shapes."""
    blurred = picture.filter(ImageFilter.GaussianBlur(0.7))
    noise = np.random.default_rng(0).normal(0, 6, (picture.height, picture.width, 3))
    noisy = np.clip(np.asarray(blurred) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("spoil", [lambda picture: picture, damaged], ids=["clean", "damaged"])
def test_every_color_shape_and_size_is_found_alone_and_in_place(background, spoil):
    for color in COLORS:
        for shape in SHAPES:
            for size in SIZES:
                scene = Scene(background, (Thing.of_size(shape, color, size, 41, 33),))
                score = score_picture(spoil(draw(scene)), expected(scene))
                assert score.all_right, (color, shape, size, score)
                assert score.background == background


def test_every_sampled_scene_passes_even_when_damaged():
    rng = random.Random(1)
    for _ in range(100):
        example = sample_generation(rng, pairs=rng.choice(("seen", "unseen")))
        picture = damaged(draw(example.target))
        assert score_picture(picture, expected_objects(example.chain)).all_right
        assert relation_shown(picture, example.request)
        assert present_objects(picture, example.request.objects) == len(example.request.objects)
        assert score_plan(example.chain, example.request).valid


def test_larger_pictures_are_scored_alike():
    assert score_picture(draw(SCENE, 256), expected(SCENE)).all_right


def test_swapped_colors_are_not_found():
    swapped = Scene("white", (replace(RED_CIRCLE, color="blue"), replace(BLUE_STAR, color="red")))
    score = score_picture(draw(swapped), expected(SCENE))
    assert [result.found for result in score.objects] == [False, False]
    assert len(score.extra) == 2


def test_a_shifted_object_is_not_found_once_its_overlap_falls_below_one_half():
    # Moved sideways by d, two boxes of side 38 overlap by (38 - d) / (38 + d): one half at 12.67 pixels.
    near = score_picture(draw(Scene("white", (replace(RED_CIRCLE, left=10 + 10),))), expected(SCENE)[:1])
    far = score_picture(draw(Scene("white", (replace(RED_CIRCLE, left=10 + 16),))), expected(SCENE)[:1])
    assert near.objects[0].found and near.objects[0].iou == pytest.approx(28 / 48, abs=0.03)
    assert not far.objects[0].found and far.objects[0].iou == pytest.approx(22 / 54, abs=0.03)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_on_a_blank_picture_nothing_is_found(background):
    score = score_picture(draw(Scene(background, ())), expected(SCENE))
    assert not any(result.found or result.shape_right for result in score.objects)
    assert score.extra == ()


def test_pure_noise_shows_no_objects():
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    assert find_objects(Image.fromarray(noise)) == []


def test_a_wrong_shape_is_found_in_place_but_not_recognised():
    for shape in SHAPES:
        for other in SHAPES:
            picture = draw(Scene("black", (replace(RED_CIRCLE, shape=other),)))
            (result,) = score_picture(picture, [("red", shape, RED_CIRCLE.box)]).objects
            assert result.found and result.shape_right == (shape == other)


def test_an_extra_object_is_reported():
    green = Thing.of_size("square", "green", "small", 90, 5)
    score = score_picture(draw(Scene("white", (*SCENE.things, green))), expected(SCENE))
    assert [patch.color for patch in score.extra] == ["green"]
    assert not score.all_right


def test_one_object_cannot_stand_for_two():
    score = score_picture(draw(SCENE), [expected(SCENE)[0]] * 2)
    assert [result.found for result in score.objects] == [True, False]


def test_touching_objects_of_one_color_count_as_a_miss():
    left, right = (
        Thing.of_size("square", "red", "medium", 10, 40),
        Thing.of_size("square", "red", "medium", 48, 40),
    )
    score = score_picture(draw(Scene("white", (left, right))), expected(Scene("white", (left, right))))
    assert not score.all_right


def test_a_phrase_without_an_object_is_never_found():
    chain = plan("There is a thing <|box_start|>(78,156),(375,453)<|box_end|> (red).")
    assert not score_picture(draw(SCENE), expected_objects(chain)).objects[0].found


def test_rims_and_specks_are_no_objects():
    picture = draw(Scene("white", (RED_CIRCLE,)))
    ImageDraw.Draw(picture).rectangle((100, 100, 105, 105), fill=COLORS["green"])  # 36 pixels
    ImageDraw.Draw(picture).line((0, 120, 127, 120), fill=COLORS["blue"], width=2)
    assert [patch.color for patch in find_objects(picture)] == ["red"]


def test_a_picture_covered_by_one_color_has_no_background():
    assert find_background(Image.new("RGB", (128, 128), COLORS["pink"])) is None


def test_parts_hang_together_by_sides_and_not_by_corners():
    mask = np.array([[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]], dtype=bool)
    assert sorted(int(part.sum()) for part in components(mask)) == [3, 3]


def test_the_relation_is_read_from_the_picture():
    objects = (Wanted("red", "circle"), Wanted("blue", "star"))
    picture = draw(SCENE)
    assert relation_shown(picture, Request(objects, Relation(0, "left of", 1)))
    assert relation_shown(picture, Request(objects, Relation(1, "right of", 0)))
    assert not relation_shown(picture, Request(objects, Relation(0, "right of", 1)))
    assert not relation_shown(draw(Scene("white", ())), Request(objects, Relation(0, "left of", 1)))


def test_presence_counts_own_colors_anywhere():
    wanted = (
        Wanted("red", "circle"),
        Wanted("red", "circle"),
        Wanted("blue", "star"),
        Wanted("pink", "star"),
    )
    assert present_objects(draw(SCENE), wanted) == 2


# --- plans ----------------------------------------------------------------------------------------

CIRCLE = "a small red circle <|box_start|>(100,100),(320,320)<|box_end|> (red)"
STAR = "a large blue star <|box_start|>(500,400),(875,775)<|box_end|> (green)"
REQUEST = Request((Wanted("red", "circle", "small"), Wanted("blue", "star")), Relation(0, "left of", 1))


def test_a_plan_that_answers_the_request_is_valid():
    assert score_plan(plan(f"There is {CIRCLE} and {STAR}."), REQUEST).valid


@pytest.mark.parametrize(
    "text",
    [
        f"There is {CIRCLE}.",
        f"There is {CIRCLE} and {STAR.replace('blue', 'green')}.",
        f"There is {CIRCLE} and {STAR.replace('blue star', 'blue square')}.",
        f"There is {CIRCLE.replace('small', 'large')} and {STAR}.",
        f"There is {CIRCLE.replace('(320,320)', '(480,480)')} and {STAR}.",
        f"There is {CIRCLE} and {STAR} and a red star <|box_start|>(5,600),(300,900)<|box_end|> (blue).",
        "There is nothing.",
    ],
    ids=["missing", "color", "shape", "size word", "size of the box", "extra", "empty"],
)
def test_a_plan_with_wrong_objects_is_not_valid(text):
    assert not score_plan(plan(text), REQUEST).objects_right


@pytest.mark.parametrize(
    ("name", "second", "right"),
    [
        ("left of", "(500,100),(900,500)", True),
        ("left of", "(300,500),(700,900)", False),
        ("right of", "(500,100),(900,500)", False),
        ("right of", "(5,100),(95,500)", True),
        ("above", "(100,400),(500,800)", True),
        ("above", "(500,100),(900,500)", False),
        ("below", "(100,5),(500,95)", True),
        ("below", "(100,400),(500,800)", False),
    ],
)
def test_a_relation_needs_boxes_strictly_apart_in_its_direction(name, second, right):
    star = STAR.replace("(500,400),(875,775)", second)
    request = replace(REQUEST, relation=Relation(0, name, 1))
    assert score_plan(plan(f"There is {star} and {CIRCLE}."), request).relation_right is right


def test_overlapping_boxes_are_reported():
    score = score_plan(plan(f"There is {CIRCLE} and {STAR.replace('500,400', '300,300')}."), REQUEST)
    assert score.objects_right and not score.apart and not score.valid


@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("a small red circle", Wanted("red", "circle", "small")),
        ("an orange star", Wanted("orange", "star")),
        ("a red and round thing", None),
        ("a red circle there", None),
    ],
)
def test_phrases_name_objects(phrase, wanted):
    assert named_object(phrase) == wanted


# --- edits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*EDIT_KINDS, "multi-step"])
def test_the_true_target_is_an_edit_that_happened_and_the_untouched_source_is_not(kind):
    rng = random.Random(kind)
    for _ in range(15):
        example = sample_edit(rng, kind)
        source, target = draw(example.source), draw(example.target)
        right = score_edit(example, example.chain, source, target)
        assert right.happened and right.psnr == 100.0
        assert score_edit(example, example.chain, source, damaged(target)).happened
        assert not score_edit(example, example.chain, source, source).happened
        assert not score_edit(example, example.chain, source, Image.new("RGB", source.size, "white")).happened


def test_an_edit_in_the_wrong_quarter_did_not_happen():
    rng = random.Random(0)
    for _ in range(10):
        example = sample_edit(rng, "add")
        (index,) = example.loose
        things = list(example.target.things)
        mirrored = replace(things[index], left=128 - things[index].left - things[index].width)
        picture = draw(replace(example.target, things=(*things[:index], *things[index + 1 :], mirrored)))
        assert not score_edit(example, example.chain, draw(example.source), picture).happened


def test_an_edit_that_leaves_the_old_object_behind_did_not_happen():
    example = sample_edit(random.Random(0), "move")
    (before,) = set(example.source.things) - set(example.target.things)
    both = draw(replace(example.target, things=(*example.target.things, before)))
    assert not score_edit(example, example.chain, draw(example.source), both).happened


def test_psnr_of_a_known_difference():
    gray, lighter = Image.new("RGB", (8, 8), (100, 100, 100)), Image.new("RGB", (8, 8), (110, 110, 110))
    assert psnr(gray, lighter) == pytest.approx(28.13, abs=0.01)  # 20 log10(255 / 10)
    assert psnr(gray, gray) == 100.0


def test_psnr_outside_boxes_ignores_what_happens_inside_them():
    source, result = draw(SCENE), draw(Scene("white", (RED_CIRCLE,)))
    assert psnr(source, result) < 25
    assert psnr(source, result, [BLUE_STAR.box]) == 100.0


def test_psnr_needs_equal_sizes_and_pixels_to_compare():
    with pytest.raises(GoTError, match="one size"):
        psnr(draw(SCENE), draw(SCENE, 64))
    with pytest.raises(GoTError, match="cover"):
        psnr(draw(SCENE, 8), draw(SCENE, 8), [Box(0, 0, 999, 999)])
