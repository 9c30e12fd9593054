"""What plans ask of their pictures, thing by thing."""

from __future__ import annotations

import random

import pytest

from got_models.chain.chain import Box, ReasoningChain
from got_models.judge.asked import Asked, asked_of
from tiny_model.world.edits import sample_edit

BOX = Box(100, 200, 300, 400)
AT = "(100,200),(300,400)"


def asked(prompt: str, text: str) -> list[tuple[str, bool]]:
    things, _ = asked_of(ReasoningChain.parse(text, "edit", prompt))
    return [(thing.phrase, thing.there) for thing in things]


def test_a_generated_picture_is_to_show_every_box() -> None:
    chain = ReasoningChain.parse(f"A dog {AT} runs; it is removed.", "generate", "a dog")
    assert asked_of(chain) == ([Asked("A dog", BOX)], [])


@pytest.mark.parametrize(
    ("prompt", "text", "expected"),
    [
        ("remove the dog", f"1. A dog in a park. 2. The dog {AT}. 3. It is removed.", [("The dog", False)]),
        ("remove the dog", f"A dog {AT} in a park.", [("A dog", False)]),
        ("put a hat on him", f"The object to add is a hat. The area is a hat {AT}.", [("a hat", True)]),
        (
            "make the car red",
            f"1. A blue car {AT}. 2. It becomes red. 3. The result shows a red car.",
            [("A blue car", False), ("a red car", True)],
        ),
        (
            "make her dress bright green",
            f"The woman wears her blue dress {AT} in a garden.",
            [("her blue dress", False), ("a bright green dress", True)],
        ),
        (
            "replace the brown dog with a cat",
            f"1. A brown dog {AT}. 2. It is replaced by a cat. 3. A fluffy white cat on a sofa.",
            [("A brown dog", False), ("A fluffy white cat", True)],
        ),
        (
            "move the star",
            f"The area is a star {AT} and then a star (500,500),(700,700). It moves there.",
            [("a star", False), ("a star", True)],
        ),
    ],
)
def test_the_words_say_what_becomes_of_a_thing(
    prompt: str, text: str, expected: list[tuple[str, bool]]
) -> None:
    assert asked(prompt, text) == expected


def test_where_the_words_do_not_say_it_that_is_told() -> None:
    chain = ReasoningChain.parse(f"A cat {AT} on a sofa.", "edit", "make it look like a painting")
    things, unclear = asked_of(chain)
    assert things == [] and [region.phrase for region in unclear] == ["A cat"]


def test_every_edit_of_the_shapes_world_is_read_as_it_was_meant() -> None:
    rng = random.Random(20)
    for _ in range(150):
        example = sample_edit(rng, layout=rng.choice(("quarters", "anywhere")))
        things, unclear = asked_of(example.chain)
        assert not unclear, example.chain.text
        for thing in things:
            pair = tuple(thing.phrase.split()[-2:])
            shown = [there for there in example.target.things if there.pair == pair]
            is_there = any(there.box.iou(thing.box) > 0.9 for there in shown)
            assert is_there == thing.there, (thing, example.chain.text)


@pytest.mark.parametrize("words", ["It becomes  .", "turned  .", "is now \u00a0 !", "is replaced by  ,"])
def test_a_sentence_that_breaks_off_before_it_says_what_a_thing_becomes_is_unclear(words: str) -> None:
    chain = ReasoningChain.read(f"A dog {AT} in a park. {words}", "edit", "something else")
    assert [region.phrase for region in asked_of(chain)[1]] == ["A dog"]


def test_whatever_words_a_plan_is_made_of_are_read() -> None:
    pieces = [
        "becomes",
        " ",
        "  ",
        ".",
        "into",
        "turn",
        "replaced by",
        "is now",
        "a",
        "the",
        "dog",
        AT,
        ",",
        "and",
    ]
    pieces += ["while", "so that", "in colour", "move", "add", "remove", "!", "\n", "\u7ea2\u8272"]
    rng = random.Random(3)
    for _ in range(1000):
        text = " ".join(rng.choice(pieces) for _ in range(rng.randint(1, 14)))
        chain = ReasoningChain.read(
            text, "edit", rng.choice(["make the dog red", "turn into  ,", "replace by "])
        )
        things, unclear = asked_of(chain)
        assert len(things) + len(unclear) >= len(chain.regions)
