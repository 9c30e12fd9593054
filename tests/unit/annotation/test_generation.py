"""Pictures and pairs become chains: the steps, with an annotator that sees pixels."""

from __future__ import annotations

import json
import random

import pytest
from PIL import Image

from got_models.annotation.annotator import (
    PIXELS,
    THOUSANDTHS,
    AnnotatorError,
    AnswerError,
    ServerFailedError,
    check_coordinates,
)
from got_models.annotation.checks import change_doubts, left_out, told_otherwise
from got_models.annotation.editing import annotate_pair
from got_models.annotation.generation import annotate_picture, ground
from got_models.annotation.names import mentions, names_in
from got_models.chain.chain import Box, ReasoningChain
from got_models.chain.notations import Element, LayoutPlan
from got_models.mllm.prompts import LOCATE_ALL
from tiny_model.world.layouts import sample_source
from tiny_model.world.scene import Scene, Thing, draw

from .looking import Looking, LyingAboutItsUnit

RED = Thing("circle", "red", 10, 20, 40, 40)
STAR = Thing("star", "blue", 70, 60, 48, 48)
SCENE = Scene("white", (RED, STAR))


def is_near(one: Box, other: Box) -> bool:
    return one.iou(other) > 0.7


@pytest.mark.parametrize("coordinates", [PIXELS, THOUSANDTHS])
@pytest.mark.parametrize("follows_instructions", [True, False])
def test_a_picture_becomes_a_prompt_and_a_chain_with_a_box_behind_every_name(
    coordinates: str, follows_instructions: bool
) -> None:
    annotation = annotate_picture(Looking(coordinates, follows_instructions), draw(SCENE))
    chain = annotation.chain
    assert annotation.doubts == ()
    assert chain.task == "generate"
    assert [region.phrase.lower() for region in chain.regions] == ["a red circle", "a blue star"]
    assert is_near(chain.regions[0].box, RED.box) and is_near(chain.regions[1].box, STAR.box)
    assert chain.words.endswith("red circle and a blue star on a white background.")
    assert ReasoningChain.parse(chain.text, "generate", chain.prompt) == chain
    if follows_instructions:
        assert annotation.prompts == ("a red circle and a blue star",)


@pytest.mark.parametrize("follows_instructions", [True, False])
@pytest.mark.parametrize("kind", ["change", "remove", "add"])
def test_a_pair_becomes_a_numbered_chain(follows_instructions: bool, kind: str) -> None:
    green = Thing("circle", "green", 10, 20, 40, 40)
    after = {
        "change": (green, STAR),
        "remove": (STAR,),
        "add": (RED, STAR, Thing("square", "green", 80, 4, 40, 40)),
    }
    annotation = annotate_pair(
        Looking(PIXELS, follows_instructions), draw(SCENE), draw(Scene("white", after[kind]))
    )
    chain = annotation.chain
    assert annotation.doubts == ()
    assert chain.task == "edit"
    sentences = [f"{number}. " for number in range(1, 6)]
    assert [chain.text.index(sentence) for sentence in sentences] == sorted(
        chain.text.index(sentence) for sentence in sentences
    )
    assert chain.text[: len("1. The picture")] == "1. The picture" and " 5. The result shows " in chain.text
    (region,) = chain.regions
    assert is_near(region.box, after["add"][2].box if kind == "add" else RED.box)
    assert region.phrase == ("a green square" if kind == "add" else "a red circle")
    assert len(annotation.prompts) == (4 if follows_instructions else 1)
    assert chain.prompt == annotation.prompts[0]
    wrote = {"change": "turn the red circle into a green circle", "remove": "remove the red circle"}
    if kind in wrote:
        assert chain.prompt == wrote[kind]


def test_a_thing_that_moves_has_both_its_places_in_the_chain() -> None:
    moved = Thing("circle", "red", 60, 4, 40, 40)
    chain = annotate_pair(Looking(PIXELS, False), draw(SCENE), draw(Scene("white", (moved, STAR)))).chain
    assert [region.phrase for region in chain.regions] == ["a red circle"] * 2
    assert is_near(chain.regions[0].box, RED.box) and is_near(chain.regions[1].box, moved.box)


def test_a_given_instruction_is_kept() -> None:
    target = draw(Scene("white", (STAR,)))
    for follows in (True, False):
        annotation = annotate_pair(Looking(PIXELS, follows), draw(SCENE), target, "take the ball away")
        assert annotation.prompts[0] == "take the ball away"


def test_what_is_not_there_or_named_twice_is_doubtful() -> None:
    picture = draw(SCENE)

    def invents(question: str, shown: Image.Image | None, answer: str) -> str:
        return (
            answer.replace("a blue star", "a blue star and a pink square")
            if "Describe" in question
            else answer
        )

    (doubt,) = annotate_picture(Looking(mistake=invents), picture).doubts
    assert doubt == "'a pink square' was not found in the picture."

    def adds(question: str, shown: Image.Image | None, answer: str) -> str:
        return '["a red circle", "a green frog"]' if "Which objects" in question else answer

    assert annotate_picture(Looking(mistake=adds), picture).doubts == (
        "'a green frog' does not stand in the text.",
    )


def test_what_the_description_leaves_out_is_doubtful() -> None:
    def forgets(question: str, shown: Image.Image | None, answer: str) -> str:
        return answer.replace(" and a blue star", "") if "Locate" not in question else answer

    for follows in (True, False):
        annotation = annotate_picture(Looking(PIXELS, follows, mistake=forgets), draw(SCENE))
        assert [region.phrase.lower() for region in annotation.chain.regions] == ["a red circle"]
        (doubt,) = annotation.doubts
        assert doubt.startswith("'blue star' was found, and ")


@pytest.mark.parametrize(
    ("element", "noticed"),
    [
        (Element("lamp", (0.6, 0.1, 0.9, 0.4)), True),
        (Element("dog", (0.6, 0.1, 0.9, 0.4)), True),  # a second one
        (Element("the sky", (0.0, 0.0, 1.0, 0.3)), False),  # named, as a background without a box
        (Element("animal", (0.12, 0.45, 0.38, 0.9)), False),  # the dog, by another name
        (Element("nose", (0.2, 0.5, 0.25, 0.55)), False),  # in its box
        (Element("fly", (0.6, 0.1, 0.65, 0.15)), False),  # small
        (Element("picture", (0.0, 0.0, 1.0, 1.0)), False),
        (Element("", (0.6, 0.1, 0.9, 0.4)), True),
        (Element("lamp", None), False),
    ],
)
def test_what_is_small_or_held_by_a_box_or_named_without_one_is_not_left_out(
    element: Element, noticed: bool
) -> None:
    text = "A dog (100,400),(400,900) sits under the sky."
    chain = ReasoningChain.parse(text, "generate", "a dog")
    assert bool([*left_out(chain.words, chain.regions, LayoutPlan((element,)))]) is noticed


def test_a_list_of_everything_that_ends_in_the_middle_is_a_doubt() -> None:
    def cut(question: str, shown: Image.Image | None, answer: str) -> str:
        return answer[: answer.rindex("{") + 9] if question == LOCATE_ALL else answer

    (doubt,) = annotate_picture(Looking(mistake=cut), draw(SCENE)).doubts
    assert doubt == "Not everything in the picture was listed, and so something may be left out."


@pytest.mark.parametrize("failure", [AnswerError, ServerFailedError])
def test_a_list_of_everything_that_cannot_be_had_is_a_doubt_unless_the_server_failed(
    failure: type[AnswerError],
) -> None:
    def fails(question: str, shown: Image.Image | None, answer: str) -> str:
        if question == LOCATE_ALL:
            raise failure("it did not come to an end")
        return answer

    looking = Looking(mistake=fails)
    if failure is ServerFailedError:
        with pytest.raises(ServerFailedError):
            annotate_picture(looking, draw(SCENE))
    else:
        annotation = annotate_picture(looking, draw(SCENE))
        assert len(annotation.chain.regions) == 2
        assert annotation.doubts == ("What the text leaves out is not known: it did not come to an end",)


def test_a_box_that_shows_something_else_is_doubtful() -> None:
    def misplaces(question: str, shown: Image.Image | None, answer: str) -> str:
        return (
            '[{"bbox_2d": [600, 20, 900, 300], "label": "red circle"}]'
            if "the red circle" in question
            else answer
        )

    for follows in (True, False):
        doubts = annotate_picture(
            Looking(follows_instructions=follows, mistake=misplaces), draw(SCENE)
        ).doubts
        assert any("'A red circle'" in doubt or "'a red circle'" in doubt for doubt in doubts), doubts


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ("[10, 10, 20, 20]", "very small"),
        ("[0, 0, 999, 999]", "whole picture"),
        ("[500, 10, 1090, 300]", "beyond the picture"),
        ("[700, 700, 600, 900]", "corners were swapped"),
    ],
)
def test_a_box_that_cannot_be_right_is_doubtful(box: str, words: str) -> None:
    def errs(question: str, shown: Image.Image | None, answer: str) -> str:
        return f'[{{"bbox_2d": {box}, "label": "red circle"}}]' if "the red circle" in question else answer

    assert any(words in doubt for doubt in annotate_picture(Looking(mistake=errs), draw(SCENE)).doubts)


def test_numbers_that_the_unit_does_not_have_are_named() -> None:
    def errs(question: str, shown: Image.Image | None, answer: str) -> str:
        return '[{"bbox_2d": [500, 10, 1400, 300]}]' if "the red circle" in question else answer

    with pytest.raises(AnswerError, match="its boxes are in pixels"):
        annotate_picture(Looking(mistake=errs), draw(SCENE))


def test_two_names_for_one_box_are_doubtful() -> None:
    def confuses(question: str, shown: Image.Image | None, answer: str) -> str:
        return answer.replace("blue star", "red circle") if "Locate" in question else answer

    def same(question: str, shown: Image.Image | None, answer: str) -> str:
        if "the blue star" not in question or shown is None:
            return answer
        return Looking().truth("Locate the red circle in this picture", shown)

    doubts = annotate_picture(Looking(mistake=same), draw(SCENE)).doubts
    assert "'a red circle' and 'a blue star' have the same box." in doubts


def test_an_answer_that_cannot_be_read_is_asked_for_once_more_and_then_named() -> None:
    answers = iter(["Sure! Here they are: circle, star", '["a red circle", "a blue star"]'])
    asked: list[str] = []

    def stammers(question: str, shown: Image.Image | None, answer: str) -> str:
        if "Which objects" in question:
            asked.append(question)
            return next(answers, "I cannot.")
        return answer

    assert annotate_picture(Looking(mistake=stammers), draw(SCENE)).doubts == ()
    assert len(asked) == 2 and "Expected a JSON list" in asked[1]
    with pytest.raises(AnswerError, match="I cannot"):
        annotate_picture(Looking(mistake=stammers), draw(SCENE))


def test_an_edit_of_two_steps_with_the_box_of_one_is_doubtful() -> None:
    """The annotator tells only of the circle, which is larger than the star."""
    before = Scene("white", (Thing("circle", "red", 10, 20, 48, 48), Thing("star", "blue", 80, 60, 40, 40)))
    after = Scene("white", (Thing("circle", "green", 10, 20, 48, 48),))
    mistaken = Looking(mistake=lambda question, _, answer: _edited(question, answer))
    doubts = annotate_pair(mistaken, draw(before), draw(after)).doubts
    assert any("of what changed lies within the boxes" in doubt for doubt in doubts)


def _edited(question: str, answer: str) -> str:
    listed = "a red circle" if '"edit"' in answer else ""
    return json.dumps([{"object": listed, "edit": "change"}]) if listed else answer


def test_an_edit_that_changes_more_than_its_boxes_is_doubtful() -> None:
    target = draw(Scene("black", (Thing("circle", "green", 10, 20, 40, 40), STAR)))
    doubts = annotate_pair(Looking(), draw(SCENE), target).doubts
    assert any("of what changed lies within the boxes" in doubt for doubt in doubts)


@pytest.mark.parametrize("coordinates", [PIXELS, THOUSANDTHS])
def test_an_annotator_that_counts_in_another_unit_is_refused(coordinates: str) -> None:
    check_coordinates(Looking(coordinates))
    other = THOUSANDTHS if coordinates == PIXELS else PIXELS
    with pytest.raises(AnnotatorError, match=f"writes boxes in {other} .*--coordinates {other}"):
        check_coordinates(LyingAboutItsUnit(coordinates))


def test_an_annotator_that_sees_nothing_is_refused() -> None:
    with pytest.raises(AnnotatorError, match=r"does not find a red square.*hello"):
        check_coordinates(Looking(mistake=lambda *_: "hello"))


def test_names_are_found_word_for_word_in_the_order_of_the_text() -> None:
    text = "The old dog lies on a red rug. Behind the dog stands a lamp; two cats watch the old dog."
    found, missing = mentions(text, ["an old dog", "a red rug", "the dog", "lamp", "two cats", "the moon"])
    assert [mention.phrase for mention in found] == [
        "The old dog",
        "a red rug",
        "the dog",
        "a lamp",
        "two cats",
    ]
    assert all(text[slice(*mention.span)] == mention.phrase for mention in found)
    assert missing == ["the moon"]
    assert mentions("a caterpillar", ["a cat"]) == ([], ["a cat"])


def test_a_name_of_several_things_gets_the_box_around_all_and_a_repeated_one_its_own_each() -> None:
    two = Scene("white", (Thing("circle", "red", 4, 4, 40, 40), Thing("circle", "red", 80, 80, 40, 40)))
    named, _ = mentions("Two red circles.", ["two red circles"])
    (element,), doubts = ground(Looking(), draw(two), named)
    assert element.box is not None and element.box[0] < 0.05 and element.box[2] > 0.9 and not doubts
    named, _ = mentions("A red circle and a red circle.", ["a red circle", "a red circle"])
    elements, doubts = ground(Looking(), draw(two), named)
    assert [element.box[0] < 0.5 for element in elements if element.box] == [True, False] and not doubts
    named, _ = mentions("A red circle.", ["a red circle"])
    assert ground(Looking(), draw(two), named)[1] == [
        "'A red circle' stands 1 times in the text, and was found 2 times."
    ]


def test_a_simple_description_names_its_objects() -> None:
    assert names_in("A red circle, an orange star and two blue squares on a light gray background.") == [
        "A red circle",
        "an orange star",
        "two blue squares",
    ]


def test_twenty_drawn_pictures_are_all_right() -> None:
    rng = random.Random(3)
    for _ in range(20):
        scene = sample_source(rng, "anywhere")
        annotator = Looking(rng.choice((PIXELS, THOUSANDTHS)), rng.random() < 0.5)
        annotation = annotate_picture(annotator, draw(scene))
        regions = annotation.chain.regions
        assert annotation.doubts == () and len(regions) == len(scene.things)
        for thing in scene.things:
            named = [region.box for region in regions if tuple(region.phrase.split()[-2:]) == thing.pair]
            assert len(named) == 1 and is_near(named[0], thing.box)


def test_a_pair_whose_descriptions_say_other_things_than_are_found_is_doubtful() -> None:
    def mistakes_the_star(question: str, shown: Image.Image | None, answer: str) -> str:
        return answer.replace("blue star", "pink square") if "Describe" in question else answer

    target = draw(Scene("white", (STAR,)))
    doubts = annotate_pair(Looking(PIXELS, False, mistake=mistakes_the_star), draw(SCENE), target).doubts
    assert doubts == (
        "'a pink square' is in the description of the source, and was not found there.",
        "'blue star' was found in the source, and is not in its description.",
        "'a pink square' is in the description of the result, and was not found there.",
        "'blue star' was found in the result, and is not in its description.",
    )


def test_several_things_of_one_name_are_not_doubted() -> None:
    everything = LayoutPlan(tuple(Element("red square", (x, 0.1, x + 0.1, 0.2)) for x in (0.1, 0.5)))
    assert [*told_otherwise("it", "Two red squares on a white background.", everything)] == []
    assert [*told_otherwise("it", "A red square on a white background.", everything)] == [
        "'red square' was found in it, and is not in its description."
    ]


def test_an_edit_of_what_the_instruction_does_not_name_is_doubtful() -> None:
    target = draw(Scene("white", (STAR,)))
    seer = Looking(PIXELS, False)
    assert annotate_pair(seer, draw(SCENE), target, "remove the red circle").doubts == ()
    (doubt,) = annotate_pair(seer, draw(SCENE), target, "remove the yellow square").doubts
    assert doubt == "The instruction does not name 'a red circle', which was edited."


def test_a_box_in_which_nothing_has_changed_is_doubtful() -> None:
    plan = "The blue star (547,469),(922,844) and the red circle (78,156),(391,469)."
    regions = ReasoningChain.parse(plan, "edit", "x").regions
    (doubt,) = change_doubts(draw(SCENE), draw(Scene("white", (STAR,))), regions)
    assert doubt == f"Nothing has changed in the box of '{regions[0].phrase}'."
