"""Comparing a plan with what was found in its picture."""

from __future__ import annotations

import pytest
from PIL import Image

from got_models.chain.chain import Box, ReasoningChain
from got_models.judge.report import draw_verdict, report, summary
from got_models.judge.verdict import compare

TEXT = (
    "a red circle (0,0),(400,400) stands to the left of a blue square (500,0),(900,400) and above "
    "a red circle (0,500),(400,900)"
)
CHAIN = ReasoningChain.parse(TEXT, "generate", "two circles and a square")
FIRST, SQUARE, SECOND = (region.box for region in CHAIN.regions)


def test_everything_in_its_place_is_obeyed_with_a_score_of_one() -> None:
    verdict = compare(CHAIN.regions, {"a red circle": [SECOND, FIRST], "a blue square": [SQUARE]})
    assert verdict.obeyed and verdict.score == 1.0
    assert [judged.found for judged in verdict.objects] == [FIRST, SQUARE, SECOND]
    assert all(relation.kept for relation in verdict.relations)


def test_two_objects_of_one_phrase_need_two_things() -> None:
    verdict = compare(CHAIN.regions, {"a red circle": [FIRST], "a blue square": [SQUARE]})
    assert [judged.in_place for judged in verdict.objects] == [True, True, False]
    assert not verdict.obeyed and verdict.score == pytest.approx(2 / 3)


def test_something_out_of_place_is_named_with_where_it_is() -> None:
    elsewhere = Box(500, 500, 900, 900)
    verdict = compare(CHAIN.regions, {"a red circle": [FIRST, SECOND], "a blue square": [elsewhere]})
    assert not verdict.objects[1].in_place and verdict.objects[1].found == elsewhere
    assert "a blue square: out of place, at (500,500),(900,900) (overlap 0.00)" in report(verdict)


def test_what_is_found_twice_is_not_obeyed_and_lowers_the_score() -> None:
    squares = [SQUARE, Box(600, 600, 800, 800)]
    verdict = compare(CHAIN.regions, {"a red circle": [FIRST, SECOND], "a blue square": squares})
    assert verdict.extras == (("a blue square", squares[1]),)
    assert not verdict.obeyed and verdict.score == 0.75
    assert "not planned: a blue square at (600,600),(800,800)" in report(verdict)


def test_a_thing_that_another_phrase_of_the_plan_claims_is_no_extra() -> None:
    chain = ReasoningChain.parse(
        "a star (0,0),(400,400) and a small star (500,500),(700,700)", "generate", ""
    )
    boxes = [region.box for region in chain.regions]
    verdict = compare(chain.regions, {"a star": boxes, "a small star": boxes[1:]})
    assert verdict.obeyed


def test_a_lost_relation_is_told() -> None:
    swapped = {"a red circle": [SQUARE, SECOND], "a blue square": [FIRST]}
    verdict = compare(CHAIN.regions, swapped)
    lost = {(relation.first.phrase, relation.words, relation.second.phrase) for relation in verdict.relations}
    assert ("a red circle", "left of", "a blue square") in lost
    assert "a red circle is not left of a blue square" in report(verdict)


def test_nothing_found_scores_zero() -> None:
    verdict = compare(CHAIN.regions, {})
    assert verdict.score == 0.0 and summary(verdict) == "0 of 3 objects in place; score 0.00"


def test_the_picture_shows_what_was_found_in_green_and_what_is_astray_in_red() -> None:
    found = {"a red circle": [FIRST, Box(600, 600, 900, 900)], "a blue square": []}
    verdict = compare(CHAIN.regions, found)
    shown = draw_verdict(CHAIN, Image.new("RGB", (512, 512), "white"), verdict)
    colors = {color for _, color in shown.getcolors(2**20) or []}
    assert {(80, 255, 120), (255, 70, 70)} <= colors
