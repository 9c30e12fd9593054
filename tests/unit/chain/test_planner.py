"""A scripted language model is asked for plans, answers in every dialect, and may be wrong once."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from got_models.chain.chain import ReasoningChain
from got_models.chain.notations import read_plan
from got_models.chain.planner import EXAMPLES, hold, instruction, make_plan, read_answer
from got_models.chain.region import Box
from got_models.errors import GoTError

FOX = {
    "description": "A red fox sleeps on a mossy rock.",
    "objects": [
        {"label": "A red fox", "bbox_2d": [120, 480, 520, 860]},
        {"label": "a mossy rock", "bbox_2d": [80, 700, 620, 980]},
    ],
}
GOOD = json.dumps(FOX)
LOCKED = ReasoningChain.parse(
    "a red fox (10,20),(300,400) and a tall tree (500,20),(900,900)", "generate", "x"
).regions


def scripted(*answers: str) -> tuple[Callable[[str], str], list[str]]:
    remaining, asked = list(answers), []

    def answer(text: str) -> str:
        asked.append(text)
        return remaining.pop(0)

    return answer, asked


@pytest.mark.parametrize("task", ["generate", "edit"])
def test_the_instruction_holds_the_request_and_an_example_that_is_read(task: str) -> None:
    text = instruction("a cat on a mat", task)
    assert text.rstrip().endswith("Request: a cat on a mat")
    example = next(line for line in text.splitlines() if line.startswith("{"))
    assert [element.phrase for element in read_plan(example).elements] == list(EXAMPLES[task][2])


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"Sure!\n```json\n{json.dumps(FOX, indent=2)}\n```\nAnything else?",
        "<think>The fox goes left.</think>" + GOOD,
        "A red fox (120,480),(520,860) sleeps on a mossy rock (80,700),(620,980).",
    ],
    ids=["plain", "fenced", "thinking", "got"],
)
def test_an_answer_in_any_dialect_becomes_a_chain(reply: str) -> None:
    answer, asked = scripted(reply)
    chain = make_plan(answer, "a fox on a rock", "generate")
    assert len(asked) == 1
    assert chain.prompt == "a fox on a rock"
    assert [(region.phrase.lower(), region.box.x1) for region in chain.regions] == [
        ("a red fox", 120),
        ("a mossy rock", 80),
    ]


@pytest.mark.parametrize("wrong", ["", "I cannot draw.", "{", '{"description": "A fox."}', "[]"])
def test_what_cannot_be_read_is_asked_again_once_with_the_reason(wrong: str) -> None:
    answer, asked = scripted(wrong, GOOD)
    assert len(make_plan(answer, "a fox", "generate").regions) == 2
    assert len(asked) == 2
    assert asked[1].startswith(asked[0])
    assert "could not be read" in asked[1]


def test_two_unreadable_answers_are_an_error_that_says_what_to_do() -> None:
    answer, asked = scripted("No.", "Never.")
    with pytest.raises(GoTError, match=r"asked twice\. It has no box\. Choose a larger model"):
        make_plan(answer, "a fox", "generate")
    assert len(asked) == 2


def test_locked_regions_are_asked_for_and_enforced() -> None:
    answer, asked = scripted(GOOD)
    chain = make_plan(answer, "a fox and a tree", "generate", LOCKED)
    assert "a tall tree" in asked[0] and "[500, 20, 900, 900]" in asked[0]
    boxes = {region.phrase.lower(): region.box for region in chain.regions}
    assert boxes["a red fox"] == Box(10, 20, 300, 400)
    assert boxes["a tall tree"] == Box(500, 20, 900, 900)
    assert sum("locked" in warning for warning in chain.warnings) == 2


def test_a_plan_that_holds_what_is_locked_stays_as_it_is() -> None:
    chain = read_answer(GOOD, "a fox", "generate")
    assert hold(chain, chain.regions) == chain
