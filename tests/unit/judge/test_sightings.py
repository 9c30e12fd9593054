"""Detectors' labels and a plan's phrases."""

from __future__ import annotations

from got_models.chain.chain import Box, ReasoningChain
from got_models.chain.notations.plan import Element
from got_models.judge.asked import asked_of
from got_models.judge.sightings import sightings

FOX, TREE = (0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.0, 1.0)
FOX_BOX, TREE_BOX = Box(0, 0, 500, 500), Box(500, 0, 999, 999)
ASKED, _ = asked_of(
    ReasoningChain.parse(
        "A sleeping red fox (0,0),(500,500) under an oak tree (500,0),(999,999).", "generate", "a fox"
    )
)
CIRCLES, _ = asked_of(
    ReasoningChain.parse(
        "A red circle (0,0),(500,500) and a blue circle (500,0),(999,999).", "generate", "two circles"
    )
)


def test_a_label_belongs_to_the_phrase_that_holds_it() -> None:
    seen = sightings(ASKED, [Element("Fox", FOX), Element("the tree", TREE), Element("dog", TREE)])
    assert seen.boxes == {"A sleeping red fox": [FOX_BOX], "an oak tree": [TREE_BOX]} and not seen.labels


def test_a_box_without_a_label_may_be_anything() -> None:
    seen = sightings(ASKED, [Element("", FOX)])
    assert [len(boxes) for boxes in seen.boxes.values()] == [1, 1] and len(seen.labels) == 2


def test_a_label_that_only_sounds_alike_is_another_thing() -> None:
    assert sightings(ASKED, [Element("foxglove", FOX)]).boxes["A sleeping red fox"] == []


def test_a_label_that_fits_two_phrases_is_kept_with_each() -> None:
    seen = sightings(CIRCLES, [Element("circle", FOX)])
    assert seen.labels == {("A red circle", FOX_BOX): "circle", ("a blue circle", FOX_BOX): "circle"}


def test_sizes_are_told_by_the_boxes() -> None:
    text = "A small red circle (0,0),(500,500) and a large red circle (500,0),(999,999)."
    asked, _ = asked_of(ReasoningChain.parse(text, "generate", "two circles"))
    assert not sightings(asked, [Element("red circle", FOX)]).labels


def test_a_label_that_says_all_is_no_doubt() -> None:
    seen = sightings(CIRCLES, [Element("red circle", FOX), Element("blue circle", TREE)])
    assert seen.boxes == {"A red circle": [FOX_BOX], "a blue circle": [TREE_BOX]} and not seen.labels
