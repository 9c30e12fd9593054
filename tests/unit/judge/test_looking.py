"""Looking for a plan's objects in a picture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from got_models.chain.chain import Box, ReasoningChain
from got_models.chain.notations.plan import Element, LayoutPlan
from got_models.chain.notations.qwen import read_answer
from got_models.errors import GoTError
from got_models.judge.looking import changed_outside, check_generated, judge, judge_sightings

PICTURE = Image.new("RGB", (64, 64), "white")
CHAIN = ReasoningChain.parse(
    "A red circle (0,0),(500,500) beside an owl (500,500),(999,999).", "generate", "two"
)
PAINTED = ReasoningChain.parse("A red circle (0,0),(500,500) becomes blue.", "edit", "paint it blue")


def model(**found: tuple[float, float, float, float]) -> Any:
    """A model that finds these things, and keeps what it was asked in `asked`."""
    asked: list[str] = []

    def locate(picture: Image.Image, phrases: list[str], *_: Any, **__: Any) -> LayoutPlan:
        asked.extend(phrases)
        return LayoutPlan(tuple(Element(name, box) for name, box in found.items() if name in phrases[0]))

    return SimpleNamespace(locate=locate, asked=asked)


def test_every_phrase_is_asked_for_alone_with_the_definite_article() -> None:
    looking = model(circle=(0.0, 0.0, 0.5, 0.5))
    verdict = judge(looking, CHAIN, PICTURE)
    assert looking.asked == ["the red circle", "the owl"]
    assert [judged.found for judged in verdict.objects] == [Box(0, 0, 500, 500), None]


def test_an_answer_without_boxes_counts_as_not_found_unless_all_are() -> None:
    def locate(picture: Image.Image, phrases: list[str], *_: Any, **__: Any) -> LayoutPlan:
        return read_answer(answers.get(phrases[0], "10, a pink star"), (224, 224))

    answers = {"the red circle": '[{"bbox_2d": [0, 0, 112, 112], "label": "red circle"}]'}
    verdict = judge(SimpleNamespace(locate=locate), CHAIN, PICTURE)
    assert [judged.found is None for judged in verdict.objects] == [False, True]
    answers.clear()
    with pytest.raises(GoTError, match="answered without boxes"):
        judge(SimpleNamespace(locate=locate), CHAIN, PICTURE)


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("Nothing has a box.", "generate", "no box"),
        ("(0,0),(500,500) is empty.", "generate", "Box 1 .* no words"),
    ],
)
def test_a_plan_that_cannot_be_compared_is_refused(text: str, task: str, message: str) -> None:
    with pytest.raises(GoTError, match=message):
        judge(model(), ReasoningChain.parse(text, task, "something"), PICTURE)


def test_a_source_is_for_edits_and_some_things_are_for_generated_pictures_alone() -> None:
    with pytest.raises(GoTError, match="plan is of a generated picture"):
        judge(model(), CHAIN, PICTURE, PICTURE)
    with pytest.raises(GoTError, match="of an edit"):
        check_generated(PAINTED)


def test_an_edit_is_judged_by_what_it_was_and_what_it_becomes() -> None:
    before, after = PICTURE.copy(), PICTURE.copy()
    before.paste("red", (0, 0, 32, 32))
    after.paste("blue", (0, 0, 32, 32))
    looking = model(**{"blue circle": (0.0, 0.0, 0.5, 0.5)})
    verdict = judge(looking, PAINTED, after, before)
    assert looking.asked == ["the red circle", "the blue circle"]
    assert verdict.obeyed and verdict.changed_outside == 0.0
    after.paste("black", (48, 48, 64, 64))
    assert not judge(looking, PAINTED, after, before).obeyed


def test_a_detector_that_knows_no_colours_cannot_see_a_repainting() -> None:
    verdict = judge_sightings(PAINTED, [Element("circle", (0.0, 0.0, 0.5, 0.5))], PICTURE)
    assert not verdict.obeyed and [judged.label for judged in verdict.objects] == ["circle", "circle"]


def test_only_what_changed_outside_of_the_boxes_counts() -> None:
    inside, outside = PICTURE.copy(), PICTURE.copy()
    inside.paste("blue", (0, 0, 32, 32))
    outside.paste("black", (48, 48, 64, 64))
    assert changed_outside(PICTURE, inside, PAINTED) == 0.0
    assert changed_outside(PICTURE, outside, PAINTED) == pytest.approx(
        16 * 16 / (64 * 64 - 33 * 33), rel=0.05
    )


def test_noise_and_shifted_edges_are_no_change() -> None:
    before, after = PICTURE.copy(), PICTURE.copy()
    before.paste("gray", (40, 40, 60, 60))
    after.paste("gray", (41, 41, 61, 61))
    after = after.point(lambda level: max(0, level - 10))
    assert changed_outside(before, after, PAINTED) == 0.0
