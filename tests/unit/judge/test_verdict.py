"""Comparing a plan with what was found in its picture."""

from __future__ import annotations

import pytest
from PIL import Image

from got_models.chain.chain import Box, ReasoningChain
from got_models.judge.asked import Asked, asked_of
from got_models.judge.report import draw_verdict, report, summary
from got_models.judge.verdict import Verdict, compare

TEXT = (
    "a red circle (0,0),(400,400) stands to the left of a blue square (500,0),(900,400) and above "
    "a red circle (0,500),(400,900)"
)
CHAIN = ReasoningChain.parse(TEXT, "generate", "two circles and a square")
ASKED, _ = asked_of(CHAIN)
FIRST, SQUARE, SECOND = (region.box for region in CHAIN.regions)


def test_everything_in_its_place_is_obeyed_with_a_score_of_one() -> None:
    verdict = compare(ASKED, {"a red circle": [SECOND, FIRST], "a blue square": [SQUARE]})
    assert verdict.obeyed and verdict.score == 1.0
    assert [judged.found for judged in verdict.objects] == [FIRST, SQUARE, SECOND]
    assert all(relation.kept for relation in verdict.relations)


def test_two_objects_of_one_phrase_need_two_things() -> None:
    verdict = compare(ASKED, {"a red circle": [FIRST], "a blue square": [SQUARE]})
    assert [judged.in_place for judged in verdict.objects] == [True, True, False]
    assert not verdict.obeyed and verdict.score == pytest.approx(2 / 3)


def test_something_out_of_place_is_named_with_where_it_is() -> None:
    elsewhere = Box(500, 500, 900, 900)
    verdict = compare(ASKED, {"a red circle": [FIRST, SECOND], "a blue square": [elsewhere]})
    assert not verdict.objects[1].in_place and verdict.objects[1].found == elsewhere
    assert "a blue square: out of place, at (500,500),(900,900) (overlap 0.00)" in report(verdict)


def test_what_is_found_twice_is_not_obeyed_and_lowers_the_score() -> None:
    squares = [SQUARE, Box(600, 600, 800, 800)]
    verdict = compare(ASKED, {"a red circle": [FIRST, SECOND], "a blue square": squares})
    assert verdict.extras == (("a blue square", squares[1]),)
    assert not verdict.obeyed and verdict.score == 0.75
    assert "not planned: a blue square at (600,600),(800,800)" in report(verdict)


def test_a_thing_that_another_phrase_of_the_plan_claims_is_no_extra() -> None:
    chain = ReasoningChain.parse(
        "a star (0,0),(400,400) and a small star (500,500),(700,700)", "generate", ""
    )
    boxes = [region.box for region in chain.regions]
    verdict = compare(asked_of(chain)[0], {"a star": boxes, "a small star": boxes[1:]})
    assert verdict.obeyed


def test_a_lost_relation_is_told() -> None:
    swapped = {"a red circle": [SQUARE, SECOND], "a blue square": [FIRST]}
    verdict = compare(ASKED, swapped)
    lost = {(relation.first.phrase, relation.words, relation.second.phrase) for relation in verdict.relations}
    assert ("a red circle", "left of", "a blue square") in lost
    assert "a red circle is not left of a blue square" in report(verdict)


def test_nothing_found_scores_zero() -> None:
    verdict = compare(ASKED, {})
    assert verdict.score == 0.0 and summary(verdict) == "0 of 3 objects in place; score 0.00"


def test_the_picture_shows_what_was_found_in_green_and_what_is_astray_in_red() -> None:
    found = {"a red circle": [FIRST, Box(600, 600, 900, 900)], "a blue square": []}
    verdict = compare(ASKED, found)
    shown = draw_verdict(CHAIN, Image.new("RGB", (512, 512), "white"), verdict)
    colors = {color for _, color in shown.getcolors(2**20) or []}
    assert {(80, 255, 120), (255, 70, 70)} <= colors


EDIT = [Asked("a blue square", SQUARE, there=False), Asked("a green square", SQUARE)]


def test_an_edit_is_done_where_the_old_is_gone_and_the_new_is_there() -> None:
    done = compare(EDIT, {"a green square": [SQUARE]}, alone=False)
    assert done.obeyed and done.score == 1.0
    assert report(done).splitlines()[1:] == [
        "1. a blue square: gone",
        "2. a green square: in place (overlap 1.00)",
    ]
    undone = compare(EDIT, {"a blue square": [SQUARE]}, alone=False)
    assert not undone.obeyed and undone.score == 0.0
    assert "1. a blue square: still there (overlap 1.00)" in report(undone)


def test_in_an_edit_other_things_of_the_name_may_stay() -> None:
    verdict = compare(EDIT, {"a green square": [SQUARE, FIRST], "a blue square": [SECOND]}, alone=False)
    assert verdict.obeyed and verdict.extras == ()


def test_what_a_label_does_not_tell_apart_is_neither_obeyed_nor_silent() -> None:
    label = {("a blue square", SQUARE): "square", ("a green square", SQUARE): "square"}
    verdict = compare(EDIT, {"a blue square": [SQUARE], "a green square": [SQUARE]}, label, alone=False)
    assert not verdict.obeyed
    assert (
        report(verdict).count(
            'cannot be told, because what was found at (500,0),(900,400) is called "square"'
        )
        == 2
    )
    assert summary(verdict).startswith("0 of 2 objects as planned")


def test_what_changed_outside_the_boxes_lowers_the_score_and_is_told() -> None:
    done = compare(EDIT, {"a green square": [SQUARE]}, alone=False)
    slightly, much = (Verdict(done.objects, changed_outside=share) for share in (0.005, 0.2))
    assert slightly.obeyed and not much.obeyed and much.score == pytest.approx(0.8)
    assert "outside the boxes 20.0% of the picture has changed: more than the plan asks for" in report(much)


def test_a_change_that_the_plan_does_not_name_is_not_obeyed() -> None:
    verdict = Verdict((), unclear=("a cat",))
    assert not verdict.obeyed and verdict.score == 0.0
    assert "a cat: the plan does not say what becomes of it" in report(verdict)
