"""Looking again: the next edit, written by rule, and the turns."""

from __future__ import annotations

import pytest
from PIL import Image

from got_models.chain.chain import Box, ReasoningChain
from got_models.errors import GoTError
from got_models.judge.again import look_again, told
from got_models.judge.asked import asked_of
from got_models.judge.mending import next_edit
from got_models.judge.verdict import Verdict, compare

CHAIN = ReasoningChain.parse(
    "On a white background there are a red circle (0,0),(300,300), a blue square (600,0),(900,300) and a "
    "green star (600,600),(900,900).",
    "generate",
    "a red circle, a blue square and a green star",
)
ASKED, _ = asked_of(CHAIN)
CIRCLE, SQUARE, STAR = (region.box for region in CHAIN.regions)
ALL = {"a red circle": [CIRCLE], "a blue square": [SQUARE], "a green star": [STAR]}
ELSEWHERE = Box(300, 600, 550, 850)
PICTURE = Image.new("RGB", (8, 8))


def on(**changes: list[Box]) -> Verdict:
    """The verdict on a picture in which these things, named by their last words, are here instead."""
    found = {phrase: changes.get(phrase.split()[-1], boxes) for phrase, boxes in ALL.items()}
    return compare(ASKED, found)


def test_what_is_missing_is_added_in_its_box() -> None:
    edit = next_edit(CHAIN, on(star=[]))
    assert edit is not None and edit.task == "edit" and edit.prompt == "add a green star in the bottom right"
    assert [(region.phrase, region.box) for region in edit.regions] == [("a green star", STAR)]
    assert edit.text.startswith(
        "1. The picture shows a red circle and a blue square on a white background. 2. The"
    )
    assert edit.text.endswith("shows a red circle, a blue square and a green star on a white background.")
    assert [(thing.phrase, thing.there) for thing in asked_of(edit)[0]] == [("a green star", True)]


def test_what_is_elsewhere_is_moved_into_its_box() -> None:
    edit = next_edit(CHAIN, on(star=[ELSEWHERE]))
    assert edit is not None and edit.prompt == "move the green star to the bottom right"
    assert [region.box for region in edit.regions] == [ELSEWHERE, STAR]
    assert [thing.there for thing in asked_of(edit)[0]] == [False, True]


def test_what_is_too_much_is_removed() -> None:
    edit = next_edit(CHAIN, on(star=[STAR, ELSEWHERE]))
    assert edit is not None and edit.prompt == "remove the green star"
    assert [region.box for region in edit.regions] == [ELSEWHERE]
    assert edit.text.endswith(
        "The result shows a red circle, a blue square and a green star on a white background."
    )


def test_a_missing_thing_comes_before_one_that_is_elsewhere() -> None:
    edit = next_edit(CHAIN, on(circle=[ELSEWHERE], star=[]))
    assert edit is not None and edit.prompt.startswith("add a green star")


def test_nothing_is_written_where_nothing_can_be_mended() -> None:
    assert next_edit(CHAIN, on()) is None


def test_capitals_and_odd_words_keep_the_phrase() -> None:
    chain = ReasoningChain.parse("A dog, old and tired (0,0),(300,300) sleeps.", "generate", "a dog")
    marked = chain.rename(0, "A dog, old and tired")
    edit = next_edit(marked, compare(asked_of(marked)[0], {}))
    assert edit is not None and edit.regions[0].phrase == "a dog, old and tired"
    assert edit.text.startswith("1. The picture shows nothing. 2.")


def turns(*verdicts: Verdict, most: int = 3):  # type: ignore[no-untyped-def]
    """Looks again at pictures on which these verdicts are given one after the other; also what was drawn."""
    left = list(verdicts)
    drawn: list[tuple[str, int]] = []

    def draw(edit: ReasoningChain, picture: Image.Image, number: int) -> Image.Image:
        drawn.append((edit.prompt, number))
        return Image.new("RGB", (8, 8 + number))

    return look_again(CHAIN, PICTURE, most, draw, lambda _: left.pop(0)), drawn


def test_the_loop_ends_as_soon_as_the_picture_obeys() -> None:
    mended, drawn = turns(on(star=[]), on())
    assert drawn == [("add a green star in the bottom right", 1)]
    assert mended.best.picture.height == 9
    assert told(mended).splitlines() == [
        "as it came: 2 of 3 objects in place; score 0.67",
        "turn 1, add a green star in the bottom right: 3 of 3 objects in place; score 1.00",
        "it obeys its plan; kept: turn 1",
    ]


def test_a_picture_that_obeys_is_left_as_it_is() -> None:
    mended, drawn = turns(on())
    assert not drawn and mended.best.picture is PICTURE
    assert told(mended).endswith("it obeys its plan; kept: the picture as it came")


def test_turns_are_bounded_and_the_best_is_kept_and_edited_again() -> None:
    worse = on(star=[], square=[])
    mended, drawn = turns(on(star=[]), worse, worse, most=2)
    assert [number for _, number in drawn] == [1, 2] and len({prompt for prompt, _ in drawn}) == 1
    assert mended.best.picture is PICTURE
    assert told(mended).endswith("it does not obey its plan after 2 turns; kept: the picture as it came")


def test_what_cannot_be_mended_is_said() -> None:
    doubtful = compare(ASKED, ALL, {("a green star", STAR): "star"})
    mended, drawn = turns(doubtful)
    assert not drawn and "no edit could be written" in told(mended)


@pytest.mark.parametrize(
    ("chain", "most", "message"),
    [
        (CHAIN, 0, "at least 1 turn, got 0"),
        (ReasoningChain.parse("Nothing has a box.", "generate", "nothing"), 1, "no box"),
        (ReasoningChain.parse("A dog (0,0),(9,9) is removed.", "edit", "remove it"), 1, "of an edit"),
    ],
)
def test_what_cannot_be_looked_at_again_is_refused(chain: ReasoningChain, most: int, message: str) -> None:
    with pytest.raises(GoTError, match=message):
        look_again(chain, PICTURE, most, lambda *_: PICTURE, lambda _: on())
