"""The words around boxes: sentences made for things that no prose names, and the background of a caption."""

from __future__ import annotations

import pytest

from got_models.chain.chain import ReasoningChain
from got_models.chain.notations import Element, LayoutPlan, background, plan_to_chain

BOX = (0.1, 0.2, 0.4, 0.5)


def words(*phrases: str, prose: str = "") -> str:
    return plan_to_chain(
        LayoutPlan(tuple(Element(phrase, BOX) for phrase in phrases), prose), "generate"
    ).words


@pytest.mark.parametrize(
    ("phrases", "sentence"),
    [
        (["a cat"], "There is a cat."),
        (["apple"], "There is an apple."),
        (["trees"], "There are trees."),
        (["water"], "There is water."),
        (["red apple", "old tree", "clouds"], "There are a red apple, an old tree and clouds."),
        (["two boats with sails", "lighthouse"], "There are two boats with sails and a lighthouse."),
        (["A sailor in a yellow raincoat", "a dog"], "A sailor in a yellow raincoat. There is a dog."),
        (["A sailor. He holds a net."], "A sailor. He holds a net."),
        (["a cat, asleep", "a dog"], "There is a cat, asleep. There is a dog."),
        (["eine Katze"], "There is eine Katze."),
        (["\u732b", "\u72d7"], "\u753b\u9762\u4e2d\u6709\u732b\u548c\u72d7\u3002"),
    ],
)
def test_things_that_no_prose_names_get_a_sentence(phrases: list[str], sentence: str) -> None:
    assert words(*phrases) == sentence


def test_boxes_go_behind_the_words_of_the_prose() -> None:
    elements = (Element("a dog", BOX), Element("a cat", (0.5, 0.5, 0.9, 0.9)))
    chain = plan_to_chain(LayoutPlan(elements, "A cat sits beside a dog."), "generate")
    assert [(region.phrase, region.box.x1) for region in chain.regions] == [("A cat", 500), ("a dog", 100)]
    assert chain.words == "A cat sits beside a dog."


def test_what_the_prose_leaves_out_follows_it() -> None:
    assert words("a cat", "a lamp", prose="There sits a cat") == "There sits a cat. There is a lamp."


def test_a_word_within_a_word_is_no_name() -> None:
    assert words("car", prose="A carpet") == "A carpet. There is a car."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("On a white background there is a cat (1,2),(3,4).", "On a white background."),
        ("A cat (1,2),(3,4) sits in a sunny garden.", "In a sunny garden."),
        ("It rains. A cat (1,2),(3,4). The sky is grey.", "It rains. The sky is grey."),
        ("A cat (1,2),(3,4) on a mat (5,6),(7,8) in front of it.", ""),
        ("A cat (1,2),(3,4) sleeps. The street is empty, and a cat is all there is.", ""),
        ("Mist.", "Mist."),
        ("", ""),
    ],
)
def test_a_background_keeps_places_and_names_no_subject(text: str, expected: str) -> None:
    assert background(ReasoningChain.parse(text, "generate", "p")) == expected
