from __future__ import annotations

import unicodedata
from contextlib import suppress

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from got_models.chain.chain import DETERMINERS, MASK_COLORS, SPECIAL_TOKEN, Box, ChainError, ReasoningChain
from got_models.chain.characters import SPACES, clean
from got_models.chain.english import with_article

FRAGMENTS = st.sampled_from(
    [
        *(
            "<|box_start|>",
            "<|box_end|>",
            "<|obj_start|>",
            "<|obj_end|>",
            "<|im_end|>",
            "<|",
            "|>",
            "<",
            "end",
        ),
        *(
            "(",
            ")",
            "((",
            "))",
            ",",
            ", ",
            ".",
            ":",
            "\n",
            "\t",
            " ",
            "  ",
            "(1,2)",
            "(5,9)",
            "(30,40)",
            "(1000,-3)",
        ),
        *("(1,2),(3,4)", "((1, 2), (3, 4))", "(9,9),(1,1)", "(5,5),(5,5)", "(0.5,1),(7,8)"),
        "<|box_start|>(1,2),(3,4)<|box_end|>",
        "<|box_start|>((10, 20), (30, 40))<|box_end|>",
        "<|box_start|>(7,7),(7,7)<|box_end|> (red)",
        "<|obj_start|>a man in a hat<|obj_end|> <|box_start|>(1,2),(3,4)<|box_end|>",
        "<|obj_start|>a man<|obj_end|> (1,2),(3,4)",
        *(" (red)", " (Red)", "(green)", " (aqua)", " (cyan)", " (bleu)", " (dark blue)", "(black)"),
        *("a ", "The ", "cat", " dog ", "é", "🎈", "\u00a0", "\r", "\ud800", "7", "-", "(0.1,0.2),(0.9,0.8)"),
        *("（1，2），（3，4）", "（", "，", "、", "１", "。", "」", "红色圆", "\u3000", "…"),  # noqa: RUF001
        *("<|object_ref_start|>", "<|object_ref_end|>", "<|object_ref_start|>a man, bald<|object_ref_end|>"),
        *("\u200b", "\u200d", "\u200e", "\u202a", "\r\n", "\u2028", "\x00", "|", "im_end"),
        *("e\u0301", "\u0301", "\u0316" * 31, "\u0338", "\u212b", "\u0958", "\u1100\u1161"),
        *(
            "[100,200,400,500]",
            "[",
            "]",
            "(500,500)",
            "10%",
            "<loc_12>",
            "bbox",
            "x1: 1, y1: 2",
            "<tool_call>",
        ),
    ]
)
GARBAGE = st.one_of(st.text(), st.lists(FRAGMENTS, max_size=14).map("".join))

CORNERS = (
    st.tuples(st.integers(0, 999), st.integers(0, 999)).filter(lambda pair: pair[0] != pair[1]).map(sorted)
)
BOXES = st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), CORNERS, CORNERS)
WORDS = st.text("abcdefghijklmnopqrstuvwxyzéß'-🎈", min_size=1, max_size=7).filter(
    lambda word: word.lower() not in DETERMINERS
)
PHRASES = st.builds(
    lambda determiner, words: " ".join([determiner, *words]),
    st.sampled_from(sorted(DETERMINERS)),
    st.lists(WORDS, min_size=1, max_size=6),
)
PROSE = st.lists(st.one_of(WORDS, st.sampled_from([".", ",", "\n"])), max_size=4).map(" ".join)
BOX_FORMS = (
    "<|box_start|>({0.x1},{0.y1}),({0.x2},{0.y2})<|box_end|>",
    "<|box_start|>(({0.x1}, {0.y1}), ({0.x2}, {0.y2}))<|box_end|>",
    "({0.x1},{0.y1}),({0.x2},{0.y2})",
    "(({0.x1}, {0.y1}), ({0.x2}, {0.y2}))",
)


def view(chain: ReasoningChain) -> list[tuple[str, Box, str]]:
    return [(region.phrase, region.box, region.color) for region in chain.regions]


@st.composite
def chains(draw: st.DrawFn) -> tuple[str, list[tuple[str, Box, str]]]:
    """A text in any mixture of forms, and what it means by construction."""
    regions = draw(st.lists(st.tuples(PHRASES, BOXES, st.sampled_from(BOX_FORMS)), max_size=6))
    colors = draw(st.permutations(MASK_COLORS))
    text, meaning = draw(PROSE), []
    for (phrase, box, form), color in zip(regions, colors, strict=False):
        text += f" {phrase} {form.format(box)} ({color}) {draw(PROSE)}"
        meaning.append((phrase, box, color))
    return text, meaning


@settings(max_examples=200, deadline=None)
@given(GARBAGE)
def test_anything_can_be_read_and_the_result_is_canonical(text):
    chain = ReasoningChain.read(text, "generate", "")
    strict = ReasoningChain.parse(chain.text, "generate", "")
    assert strict.text == chain.text
    assert strict.regions == chain.regions
    assert unicodedata.is_normalized("NFC", chain.text)
    again = ReasoningChain.read(chain.text, "generate", "")
    assert again == strict
    assert again.warnings == strict.warnings == chain.warnings[len(chain.warnings) - len(strict.warnings) :]
    assert ReasoningChain.from_json(chain.to_json()) == chain


@settings(max_examples=100, deadline=None)
@given(GARBAGE)
def test_what_the_mllm_reads_holds_no_tokens_but_those_of_boxes(text):
    read = ReasoningChain.read(text, "generate", "").mllm_text
    tokens = {match[0] for match in SPECIAL_TOKEN.finditer(read)}
    assert tokens <= {"<|box_start|>", "<|box_end|>"}


@settings(max_examples=200, deadline=None)
@given(GARBAGE)
def test_strict_parse_either_names_a_place_or_agrees_with_read(text):
    try:
        chain = ReasoningChain.parse(text, "edit", "x")
    except ChainError as error:
        assert error.position is not None
        assert 0 <= error.position < len(text)
        assert ReasoningChain.read(text, "edit", "x").warnings
    else:
        assert ReasoningChain.read(text, "edit", "x") == chain


@settings(max_examples=80, deadline=None)
@given(chains())
def test_all_forms_mean_what_they_say(example):
    text, meaning = example
    chain = ReasoningChain.parse(text, "generate", "")
    assert view(chain) == meaning
    for region in chain.regions:
        markup = BOX_FORMS[0].format(region.box)
        assert chain.text[slice(*region.span)] == f"{region.phrase} {markup} ({region.color})"
    assert ReasoningChain.parse(chain.text, "generate", "") == chain
    assert ReasoningChain.from_json(chain.to_json()) == chain


@settings(max_examples=100, deadline=None)
@given(chains().filter(lambda example: example[1]), st.data(), PHRASES, BOXES)
def test_edits_change_one_region_and_nothing_else(example, data, phrase, box):
    chain = ReasoningChain.parse(example[0], "generate", "")
    index = data.draw(st.integers(0, len(chain.regions) - 1))
    before, (old_phrase, old_box, color), after = (
        view(chain)[:index],
        view(chain)[index],
        view(chain)[index + 1 :],
    )
    moved = chain.move_box(index, box)
    assert view(moved) == [*before, (old_phrase, box, color), *after]
    assert moved.move_box(index, old_box) == chain
    renamed = chain.rename(index, phrase)
    assert view(renamed) == [*before, (with_article(phrase), old_box, color), *after]
    if with_article(old_phrase) == old_phrase:
        assert renamed.rename(index, old_phrase) == chain
    assert view(chain.remove(index)) == before + after
    added = chain.add(phrase, box)
    assert ReasoningChain.parse(added.text, "generate", "") == added
    (new,) = (place for place, region in enumerate(view(added)) if region not in view(chain))
    assert view(added)[new][:2] == (with_article(phrase), box)
    assert [*view(added)[:new], *view(added)[new + 1 :]] == view(chain)
    assert view(added.remove(new)) == view(chain)


@settings(max_examples=100, deadline=None)
@given(
    chains().filter(lambda example: example[1]),
    st.data(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<|>()（）")),  # noqa: RUF001
)
def test_every_phrase_in_one_line_can_name_a_box(example, data, phrase):
    chain = ReasoningChain.parse(example[0], "generate", "")
    index = data.draw(st.integers(0, len(chain.regions) - 1))
    wanted = with_article(clean(phrase).strip(f"{SPACES}\n"))
    assume(wanted and "\n" not in wanted)
    renamed = chain.rename(index, phrase)
    assert [region.phrase for region in renamed.regions] == [
        wanted if place == index else region.phrase for place, region in enumerate(chain.regions)
    ]
    longer = renamed.add(phrase, Box(1, 2, 3, 4))
    assert [region.phrase for region in longer.regions].count(wanted) >= 2


@settings(max_examples=200, deadline=None)
@given(GARBAGE, st.text() | GARBAGE, st.integers(0, 3), BOXES)
def test_edits_of_anything_are_refused_or_stay_canonical(text, phrase, index, box):
    chain = ReasoningChain.read(text, "generate", "")
    edits = [
        lambda: chain.rename(index, phrase),
        lambda: chain.add(phrase, box),
        lambda: chain.move_box(index, box),
        lambda: chain.remove(index),
    ]
    for edit in edits:
        with suppress(ChainError):
            edited = edit()
            assert ReasoningChain.parse(edited.text, "generate", "").regions == edited.regions


@settings(max_examples=100, deadline=None)
@given(BOXES, st.integers(1, 2000), st.integers(1, 2000))
def test_pixels_stay_inside_the_picture_and_close_to_the_box(box, width, height):
    left, top, right, bottom = box.to_pixels(width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    for pixel, grid, size in ((left, box.x1, width), (right, box.x2, width), (top, box.y1, height)):
        assert abs(pixel - grid * size / 1000) <= 1.5  # rounded, and never empty
    back = Box.from_pixels(left, top, right, bottom, width, height)
    assert abs(back.x1 - box.x1) <= 1500 / width + 1
    assert abs(back.y2 - box.y2) <= 1500 / height + 1
