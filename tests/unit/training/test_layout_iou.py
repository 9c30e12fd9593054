"""The measure of a plan: values worked out by hand."""

from __future__ import annotations

import pytest

from got_models.chain.chain import ReasoningChain
from got_models.training.layout_iou import layout_iou


def plan(*regions: str) -> ReasoningChain:
    return ReasoningChain.parse(". ".join(regions) + ".", "generate", "two things")


CIRCLE = "a red circle (100,100),(300,300)"
SQUARE = "a blue square (600,600),(800,800)"
EXPECTED = plan(CIRCLE, SQUARE)


@pytest.mark.parametrize(
    ("planned", "iou"),
    [
        ([CIRCLE, SQUARE], 1.0),
        ([SQUARE, CIRCLE], 1.0),  # the order does not matter
        ([CIRCLE], 0.5),  # one of two was not planned
        ([], 0.0),
        ([CIRCLE, SQUARE, "a green star (0,0),(50,50)"], 1.0),
        # 200 x 200 moved by 100: intersection 100 * 200, union 2 * 40000 - 20000
        (["a red circle (200,100),(400,300)", SQUARE], (1 / 3 + 1) / 2),
        # the upper left quarter of the square: 10000 of 40000
        ([CIRCLE, "a blue square (600,600),(700,700)"], (1 + 1 / 4) / 2),
    ],
)
def test_the_iou_is_what_a_ruler_says(planned: list[str], iou: float) -> None:
    assert layout_iou(EXPECTED, plan(*planned)) == pytest.approx(iou)


def test_things_that_changed_places_are_found_by_their_words_and_not_by_their_place() -> None:
    swapped = plan("a red circle (600,600),(800,800)", "a blue square (100,100),(300,300)")
    assert layout_iou(EXPECTED, swapped) == 0.0


def test_articles_and_capitals_are_no_words_of_a_thing() -> None:
    assert layout_iou(EXPECTED, plan("The Red circle (100,100),(300,300)", SQUARE)) == 1.0


def test_other_words_still_find_what_stands_there() -> None:
    assert layout_iou(EXPECTED, plan("one crimson disc (100,100),(300,300)", SQUARE)) == 1.0


def test_among_things_of_one_name_the_nearest_is_taken() -> None:
    expected = plan("a cup (0,0),(100,100)", "a cup (500,500),(600,600)")
    planned = plan("a cup (500,500),(600,600)", "a cup (0,0),(50,100)")
    assert layout_iou(expected, planned) == pytest.approx((0.5 + 1) / 2)


def test_a_planned_box_is_not_counted_twice() -> None:
    expected = plan("a cup (0,0),(100,100)", "a cup (0,0),(100,50)")
    assert layout_iou(expected, plan("a cup (0,0),(100,100)")) == 0.5


def test_nothing_to_compare_with_is_an_error() -> None:
    with pytest.raises(ValueError, match="no boxes"):
        layout_iou(plan("nothing"), EXPECTED)
