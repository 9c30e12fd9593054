"""Where the chain of an edit has to look at the picture, and the loss on looking elsewhere."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Iterator

import pytest
import torch

from got_models.mllm.prompts import LOCATE_ALL
from tiny_model.pretraining.lookups import (
    BOX_HEAD,
    COPY_HEAD,
    LAYER,
    NAME_HEAD,
    Lookups,
    Pointer,
    find_names,
    find_pointers,
    find_steps,
)
from tiny_model.world.edits import EDIT_KINDS, STEPS, sample_edit
from tiny_model.world.language import Example, name, sample_generation
from tiny_model.world.layouts import sample_source
from tiny_model.world.looks import PLAIN
from tiny_model.world.questions import Question, describing, locating_all
from tiny_model.world.scene import COLORS

WORD = re.compile(r"<\|\w+\|>|[A-Za-z]+|\d|[^\w\s]|_")
Find = Callable[[Example | Question, list[str], int], Iterator[Pointer]]
PROMPT = ["edit", "<|image_pad|>", "<|image_pad|>", "<|image_pad|>", "instruction"]


def pointers_of(row: Example | Question) -> tuple[list[str], list[Pointer]]:
    """Words, marks and single digits, as a tokenizer without merges would cut them; what they look up."""
    answer = row.answer if isinstance(row, Question) else row.chain.text
    words = PROMPT + WORD.findall(answer)
    return words, list(find_pointers(row, words, len(PROMPT)))


def names_of(row: Example | Question, find: Find = find_names) -> tuple[list[str], list[Pointer], int]:
    """The same with the words of the prompt: the words, the names to look up, and the answer's start."""
    asked, answer = (row.words, row.answer) if isinstance(row, Question) else (row.prompt, row.chain.text)
    words = [*PROMPT, *WORD.findall(asked), *WORD.findall(answer)]
    start = len(PROMPT) + len(WORD.findall(asked))
    return words, list(find(row, words, start)), start


def test_a_description_looks_up_each_thing_where_it_names_it() -> None:
    rng = random.Random(6)
    for _ in range(20):
        row = describing(sample_source(rng, "anywhere"), PLAIN)
        words, pointers, _ = names_of(row)
        assert [pointer.source for pointer in pointers] == list(row.source.things)
        for pointer in pointers:
            assert pointer.head == NAME_HEAD
            written = tuple(words[position + 1] for position in pointer.positions)
            assert written == pointer.source.pair


def test_a_located_things_label_is_looked_up_at_that_thing() -> None:
    row = locating_all(sample_source(random.Random(7), "anywhere"), PLAIN, 224)
    assert [pointer.source for pointer in names_of(row)[1]] == list(row.source.things)


def test_the_names_of_a_plan_are_copied_from_its_prompt() -> None:
    rng = random.Random(8)
    for _ in range(20):
        words, pointers, start = names_of(sample_generation(rng))
        assert pointers and {pointer.head for pointer in pointers} == {COPY_HEAD}
        for pointer in pointers:
            (position,) = pointer.positions
            assert pointer.source < start <= position + 1
            assert words[pointer.source].removesuffix("s") == words[position + 1]


def test_an_edit_lists_what_it_sees_and_copies_what_the_prompt_names() -> None:
    words, pointers, _ = names_of(sample_edit(random.Random(9), "recolor"))
    heads = [pointer.head for pointer in pointers]
    assert heads == sorted(heads, key=[NAME_HEAD, COPY_HEAD].index) and set(heads) == {NAME_HEAD, COPY_HEAD}
    copied = [pointer for pointer in pointers if pointer.head == COPY_HEAD]
    assert all(words[pointer.source] == words[pointer.positions[0] + 1] for pointer in copied)


@pytest.mark.parametrize("kind", ["add", "move", "multi-step", "three-step"])
def test_where_a_new_box_begins_is_looked_up_in_the_corner_that_the_prompt_names(kind: str) -> None:
    rng = random.Random(kind)
    places = {"left": set(), "right": set(), "top": set(), "bottom": set()}
    for _ in range(60):
        example = sample_edit(rng, kind)
        words, pointers, start = names_of(example, find_steps)
        digits = [pointer for pointer in pointers if words[pointer.positions[0] + 1].isdigit()]
        asked = [word for word in words[len(PROMPT) : start] if word in places]
        assert sorted(words[pointer.source] for pointer in digits) == sorted(asked)
        for pointer in digits:
            (position,) = pointer.positions
            assert pointer.head == COPY_HEAD
            places[words[pointer.source]].add(int("".join(number(words, position + 1))))
    for near, far in (("left", "right"), ("top", "bottom")):
        assert max(places[near]) < 500 <= min(places[far])


VERBS = {
    "removed": {"remove", "delete", "away"},
    "added": {"add", "put", "draw"},
    "moves": {"move", "shift", "bring"},
    "becomes": {"make", "paint", "turn", "replace", "change", "of"},
}


@pytest.mark.parametrize("kind", [*EDIT_KINDS, *STEPS])
def test_what_a_step_does_is_looked_up_in_its_own_part_of_the_instruction(kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(40):
        example = sample_edit(rng, kind)
        words, pointers, start = names_of(example, find_steps)
        written = {
            position + 1: pointer.source
            for pointer in pointers
            for position in pointer.positions
            if not words[position + 1].isdigit()
        }
        changes = [at for at in range(start, len(words)) if words[at] == "It"]
        assert len(changes) == STEPS.get(kind, 1)
        last = 0
        for at in changes:
            done = words[at + 2] if words[at + 1] == "is" else words[at + 1]
            verb = written[at + 1]
            assert words[verb] in VERBS[done] and last < verb < start
            if words[at + 1] == "is":
                assert written[at + 2] == verb
            if words[at + 1] == "becomes":
                look = at + 2 if words[at + 2] in COLORS else at + 3
                assert words[written[look]] == words[look] and verb < written[look] < start
            last = verb
        doing = [words[verb] for at, verb in sorted(written.items()) if words[at] in ("edit", "add")]
        assert [verb in VERBS["added"] for verb in doing] == [
            words[at - 1 : at + 3] == [".", "It", "is", "added"] for at in changes
        ]


def number(words: list[str], start: int) -> list[str]:
    """The digits from here on."""
    return list(itertools.takewhile(str.isdigit, words[start:]))


@pytest.mark.parametrize("kind", ["recolor", "reshape", "remove", "move", "multi-step", "three-step"])
def test_the_size_of_an_object_to_edit_is_looked_up_where_it_stands_in_the_picture(kind: str) -> None:
    rng = random.Random(kind)
    for _ in range(20):
        example = sample_edit(rng, kind)
        words, pointers = pointers_of(example)
        named = [pointer for pointer in pointers if pointer.head == NAME_HEAD]
        edited = [
            thing
            for thing in example.source.things
            if f"The object to edit is {name(thing.color, thing.shape)}." in example.chain.text
        ]
        assert len(named) == len(edited)
        assert named or "step" in kind
        for pointer in named:
            (position,) = pointer.positions
            assert words[position - 3 : position + 1] == ["The", "area", "is", "a"]
            assert words[position + 1] == pointer.source.size
            assert pointer.source in edited


def test_a_thing_that_is_added_is_looked_up_nowhere() -> None:
    words, pointers = pointers_of(sample_edit(random.Random(1), "add"))
    assert not pointers
    attentions = torch.rand(1, 6, len(words), len(words))
    assert Lookups.of([], len(words), lambda thing: []).loss([attentions] * (LAYER + 1)) == 0


def test_generations_and_descriptions_look_nothing_up() -> None:
    rng = random.Random(2)
    assert not pointers_of(sample_generation(rng))[1]
    assert not pointers_of(describing(sample_source(rng), PLAIN))[1]


def test_every_token_of_a_seen_things_box_is_looked_up_and_no_token_of_where_it_moves_to() -> None:
    words, pointers = pointers_of(sample_edit(random.Random(3), "move"))
    (boxed,) = [pointer for pointer in pointers if pointer.head == BOX_HEAD]
    begin, end = words.index("<|box_start|>"), words.index("<|box_end|>")
    assert boxed.positions == tuple(range(begin, end))


def test_every_digit_of_an_answers_boxes_is_looked_up_at_the_thing_of_that_box() -> None:
    rng = random.Random(5)
    for _ in range(20):
        asked = locating_all(sample_source(rng, "anywhere"), PLAIN, 224)
        assert asked.words == LOCATE_ALL
        words, pointers = pointers_of(asked)
        assert [pointer.source for pointer in pointers] == list(asked.source.things)
        for pointer in pointers:
            written = "".join(words[position + 1] for position in pointer.positions)
            edges = [round(edge * 224 / 128) for edge in pointer.source.pixel_box]
            assert written == ",".join(map(str, edges)) + "]"


def test_a_lookups_answers_are_the_visual_tokens_that_its_thing_covers() -> None:
    _, pointers = pointers_of(sample_edit(random.Random(3), "move"))
    lookups = Lookups.of(pointers, 9, lambda thing: [1, 3])
    assert lookups.heads.unique().tolist() == [NAME_HEAD, BOX_HEAD]
    for answer in lookups.answers:
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
