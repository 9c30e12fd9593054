"""Where the chain of an edit has to look at the picture, and the loss on looking elsewhere."""

from __future__ import annotations

import math
import random
import re

import pytest
import torch

from tiny_model.pretraining.lookups import BOX_HEAD, LAYER, NAME_HEAD, Lookups, find_lookups
from tiny_model.world.edits import sample_edit
from tiny_model.world.language import Example, name, sample_generation

PROMPT = ["edit", "<|image_pad|>", "<|image_pad|>", "<|image_pad|>", "instruction"]


def words_of(example: Example) -> list[str]:
    """Words, marks and single digits, as a tokenizer without merges would cut them."""
    return PROMPT + re.findall(r"<\|\w+\|>|[A-Za-z]+|\d|[^\w\s]", example.chain.text)


def lookups_of(example: Example) -> tuple[list[str], Lookups]:
    words = words_of(example)
    return words, find_lookups([(example, words, len(PROMPT))], len(words), lambda thing: [0, 2])


@pytest.mark.parametrize("kind", ["recolor", "reshape", "remove", "move", "multi-step"])
def test_the_size_of_an_object_to_edit_is_looked_up_where_it_stands_in_the_picture(kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(20):
        example = sample_edit(rng, kind)
        words, lookups = lookups_of(example)
        named = lookups.heads == NAME_HEAD
        edited = [
            thing
            for thing in example.source.things
            if f"The object to edit is {name(thing.color, thing.shape)}." in example.chain.text
        ]
        assert named.sum() == len(edited) > 0 or kind == "multi-step"
        sizes = sorted(words[position + 1] for position in lookups.positions[named])
        assert sizes == sorted(thing.size for thing in edited)
        for position in lookups.positions[named]:
            assert words[position - 3 : position + 1] == ["The", "area", "is", "a"]


def test_a_thing_that_is_added_is_looked_up_nowhere() -> None:
    words, lookups = lookups_of(sample_edit(random.Random(1), "add"))
    assert len(lookups.rows) == 0
    attentions = torch.rand(1, 6, len(words), len(words))
    assert lookups.loss([attentions] * (LAYER + 1)) == 0


def test_generations_look_nothing_up() -> None:
    example = sample_generation(random.Random(2))
    words = words_of(example)
    assert len(find_lookups([(example, words, len(PROMPT))], len(words), lambda thing: [0]).rows) == 0


def test_every_token_of_a_seen_things_box_is_looked_up_at_the_visual_tokens_it_covers() -> None:
    words, lookups = lookups_of(sample_edit(random.Random(3), "move"))
    boxed = lookups.heads == BOX_HEAD
    begin, end = words.index("<|box_start|>"), words.index("<|box_end|>")
    # The second box, where it moves to, stands nowhere in the picture.
    assert lookups.positions[boxed].tolist() == list(range(begin, end))
    for answer in lookups.answers[boxed]:
        assert answer.nonzero().flatten().tolist() == [1, 3]


def test_the_loss_is_the_information_missing_about_where_to_look() -> None:
    attentions = torch.zeros(1, 6, 4, 4)
    attentions[0, NAME_HEAD, 3] = torch.tensor([0.5, 0.25, 0.25, 0.0])
    attentions[0, BOX_HEAD, 2] = torch.tensor([0.1, 0.3, 0.6, 0.0])
    attentions[0, BOX_HEAD, 3] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    lookups = Lookups(
        rows=torch.tensor([0, 0, 0]),
        positions=torch.tensor([3, 2, 3]),
        heads=torch.tensor([NAME_HEAD, BOX_HEAD, BOX_HEAD]),
        answers=torch.tensor(
            [[True, False, False, False], [False, True, True, False], [False, False, True, False]]
        ),
    )
    layers = [torch.rand(1, 6, 4, 4) for _ in range(LAYER)]
    expected = math.log(2) + (-math.log(0.9) - math.log(1.0)) / 2
    assert float(lookups.loss([*layers, attentions])) == pytest.approx(expected, abs=1e-6)
