"""Whatever comes from outside ends as a plan with notes or in a GoTError, and soon."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from got_models.chain.chain import MAX_REGIONS, ReasoningChain
from got_models.chain.notations import NOTATIONS, LayoutPlan, plan_to_chain, read_boxes, read_plan
from got_models.chain.notations.plan import Element
from got_models.chain.notations.to_chain import held_phrase
from got_models.chain.notations.tolerant_json import find_json
from got_models.errors import GoTError

FRAGMENTS = st.sampled_from(
    [
        *(
            "{",
            "}",
            "[",
            "]",
            "(",
            ")",
            '"',
            "'",
            "“",
            "”",
            ":",
            ",",
            "\uff0c",
            "\n",
            "\\",
            "\\u",
            "//",
            "/*",
            "#",
            "```json",
        ),
        *(
            "bbox_2d",
            '"bbox"',
            "label",
            "desc",
            '"label": "a cat"',
            '"bbox_2d": [1,2,300,400]',
            "[1,2,3,4]",
            "nan",
            "-1e400",
        ),
        *(
            "<bbox>",
            "</bbox>",
            "<loc_1>",
            "<loc_999>",
            "<p>",
            "</p>",
            "canvas.add_local_description(",
            "location='on the left'",
        ),
        *(
            "x1",
            "y1",
            '"x": 1',
            '"width": 5',
            "1000",
            "0.5",
            "50%",
            "a cat",
            "<|box_start|>",
            "<|im_end|>",
            "(1,2),(3,4)",
        ),
        *(
            "compositional_deconstruction",
            "<rect x='1' y='2' width='30' height='40'",
            "/>",
            "<think>",
            "</think>",
            "|",
            "x1=1 y1=2 x2=30 y2=40",
            "fox 0.1 0.2 0.3 0.4\n",
            "option 1",
            "\uff08\uff11\uff0c2\uff1b3,4\uff09",
            '"elements": [',
            "\ud800",
            "\x00",
            "\u202e",
            "一只猫",
            "9" * 5000,
            "null",
            "True",
        ),
    ]
)
GARBAGE = st.one_of(
    st.text(max_size=200),
    st.lists(FRAGMENTS, max_size=25).map(" ".join),
    st.lists(FRAGMENTS, max_size=25).map("".join),
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.text(max_size=5), st.none(), st.booleans())
DATA = st.recursive(
    st.one_of(
        NUMBERS,
        st.fixed_dictionaries(
            {},
            optional={
                "bbox": st.lists(NUMBERS, min_size=3, max_size=5),
                "desc": st.text(max_size=9),
                "metadata": st.one_of(
                    st.none(), st.dictionaries(st.sampled_from(["desc", "type", "palette"]), NUMBERS)
                ),
                **{key: NUMBERS for key in ("x", "y", "width", "height", "w", "h", "label", "type", "text")},
            },
        ),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def is_sound(chain: ReasoningChain) -> None:
    assert len(chain.regions) <= MAX_REGIONS
    assert ReasoningChain.parse(chain.text, "generate", chain.prompt).regions == chain.regions


@settings(max_examples=150, deadline=None)
@given(GARBAGE, st.sampled_from(NOTATIONS), st.sampled_from([None, (1, 1), (1344, 768)]))
def test_any_text_is_read_or_refused(text: str, notation: str, size: tuple[int, int] | None) -> None:
    try:
        plan = read_plan(text, notation=notation, size=size)
    except GoTError:
        return
    is_sound(plan_to_chain(plan, "generate"))


@settings(max_examples=100, deadline=None)
@given(DATA, st.sampled_from(NOTATIONS), st.lists(st.text(max_size=4), max_size=3))
def test_any_data_is_read_or_refused(data: object, notation: str, labels: list[str]) -> None:
    try:
        plan = read_boxes(data, notation=notation, size=(640, 480), labels=labels)
    except GoTError:
        return
    is_sound(plan_to_chain(plan, "generate"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(GARBAGE, st.booleans()), max_size=5), GARBAGE)
def test_any_words_become_phrases_or_are_noted(words: list[tuple[str, bool]], prose: str) -> None:
    elements = tuple(Element(phrase, (0.1, 0.2, 0.3, 0.4) if placed else None) for phrase, placed in words)
    chain = plan_to_chain(LayoutPlan(elements, prose), "generate")
    is_sound(chain)
    expected = {held_phrase(phrase) or "an object" for phrase, placed in words if placed}
    assert expected <= {region.phrase for region in chain.regions} or len(chain.regions) > len(words)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[{" * 50_000,
        '["' * 100_000,
        "[" + '"' * 200_000,
        "[1," * 60_000,
        "[" + "1," * 400_000,
        "[a" + " " * 400_000 + "b]",
        '[{"bbox": [1,2,3,4], "desc": "' + "\\" * 250_000,
        "<bbox>[" * 100_000,
        "<loc_1>" * 100_000,
        "canvas.add_local_description(" * 20_000,
        "canvas.add_local_description(a=" + "[" * 100_000 + ")",
        "canvas.add_local_description(a=" + "1+" * 9_000 + "1)",
        "/*" * 100_000 + "[",
        "[" + "//\n" * 90_000,
        "a cat [1,2,3,4] " * 5_000,
        "<p>" * 100_000 + "<bbox>",
        "[" + '{"label": "a cat", "bbox_2d": [1, 2, 300, 400]},' * 5_000 + "]",
        "<rect x='1' " * 20_000,
        "<rect x='1' y='2' width='3' height='4' id='a'/>" * 4_000,
        "<xmin>1</xmin>" * 15_000,
        "x1=1 y1=2 x2=3 y2=4 " * 8_000,
        "x1" + " " * 250_000,
        "|x1|y1|x2|y2|\n" + "|1|2|3|4|\n" * 8_000,
        "a,1,2,3,4\n" * 8_000,
        "f('a', " * 40_000,
        'option 1: [{"label": "a", "box": [1, 2, 3, 4]}] ' * 2_000,
        "<think>" * 40_000,
    ],
    ids=range(29),
)
def test_hostile_texts_end_soon(text: str) -> None:
    start = time.process_time()
    try:
        plan_to_chain(read_plan(text), "generate")
    except GoTError as error:
        assert len(str(error)) < 500
    assert time.process_time() - start < 5


def test_two_hundred_boxes_leave_as_many_as_a_chain_holds_and_a_note() -> None:
    boxes = [{"bbox_2d": [n, n, n + 100, n + 100], "label": f"thing number {n}"} for n in range(200)]
    chain = plan_to_chain(read_plan(json.dumps(boxes)), "generate")
    assert len(chain.regions) == MAX_REGIONS
    (note,) = [note for note in chain.warnings if "at most 64" in note]
    assert "'thing number 64'" in note and "131 more" in note


@pytest.mark.parametrize(
    ("box", "note"),
    [
        ([5, 5, 5, 90], "no area"),
        ([float("nan"), 5, 50, 90], "does not hold four numbers"),
        ([-50, -50, -10, -10], "outside the picture"),
        ([-50, 100, 300, 400], "ends at the edge"),
        ([300, 400, 100, 200], "swapped"),
        ([1, 2, 3], "No four numbers"),
        (["a", "b", "c", "d"], "Not read (bbox_2d"),
        ({"a": 1}, ""),
    ],
)
def test_what_is_no_box_is_said_and_the_words_stay(box: object, note: str) -> None:
    good = {"bbox_2d": [100, 100, 300, 300], "label": "a lamp"}
    chain = plan_to_chain(
        read_plan(json.dumps([{"bbox_2d": box, "label": "a cat"}, good]), notation="qwen3-vl"), "edit"
    )
    assert "a lamp" in [region.phrase for region in chain.regions]
    assert "a cat" in chain.text
    assert note in "\n".join(chain.warnings)


@pytest.mark.parametrize("phrase", ["", " \n", "<|im_end|>", "(1,2),(3,4)"])
def test_a_box_without_words_gets_a_name_and_a_note(phrase: str) -> None:
    chain = plan_to_chain(read_plan(json.dumps([{"bbox_2d": [1, 2, 300, 400], "label": phrase}])), "generate")
    assert [region.phrase for region in chain.regions] == ["an object"]
    assert "box 1" in "\n".join(chain.warnings)


@pytest.mark.parametrize("phrase", ["a <|im_end|> cat", "a cat (1,2),(3,4)", "a <|box_start|>cat"])
def test_signs_that_a_chain_cannot_hold_are_left_out_with_a_note(phrase: str) -> None:
    chain = plan_to_chain(read_plan(json.dumps([{"bbox_2d": [1, 2, 300, 400], "label": phrase}])), "generate")
    assert [region.phrase for region in chain.regions] == ["a cat"]
    assert "Special signs" in "\n".join(chain.warnings)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**14), 10**14)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
        ),
        max_leaves=20,
    )
)
def test_sound_json_is_read_as_json_reads_it(value: object) -> None:
    found = find_json(json.dumps({"list": [1, value]}))
    assert [item.value for item in found] == [{"list": [1, value]}]


@pytest.mark.parametrize("size", [(0, 5), (-1, 5), (True, 1), (1.5, 2), (10**9, 1)])
def test_sizes_that_no_picture_has_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(GoTError, match="width and height"):
        read_plan("[]", size=size)


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_box_with_a_number_that_fits_into_no_float_is_left_out_with_the_reason(number: int) -> None:
    for box in (
        {"x": number, "y": 1, "width": 5, "height": 5, "label": "a dog"},
        {"bbox": [1, 2, number, 5]},
    ):
        plan = read_boxes([box, {"x": 1, "y": 1, "width": 5, "height": 5, "label": "a cat"}], size=(10, 10))
        assert any("box is left out" in note for note in plan.notes)
