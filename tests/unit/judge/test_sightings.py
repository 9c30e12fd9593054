"""Detectors' labels and a plan's phrases."""

from __future__ import annotations

from got_models.chain.chain import Box, ReasoningChain
from got_models.chain.notations.plan import Element
from got_models.judge.sightings import boxes_by_phrase

TEXT = "A sleeping red fox (0,0),(500,500) under an oak tree (500,0),(999,999)."
REGIONS = ReasoningChain.parse(TEXT, "generate", "a fox").regions
FOX, TREE = (0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.0, 1.0)


def test_a_label_belongs_to_the_phrase_that_holds_it() -> None:
    found = boxes_by_phrase(REGIONS, [Element("Fox", FOX), Element("the tree", TREE), Element("dog", TREE)])
    assert found == {"A sleeping red fox": [Box(0, 0, 500, 500)], "an oak tree": [Box(500, 0, 999, 999)]}


def test_a_box_without_a_label_may_be_anything() -> None:
    found = boxes_by_phrase(REGIONS, [Element("", FOX)])
    assert [len(boxes) for boxes in found.values()] == [1, 1]


def test_a_label_that_only_sounds_alike_is_another_thing() -> None:
    assert boxes_by_phrase(REGIONS, [Element("foxglove", FOX)])["A sleeping red fox"] == []
