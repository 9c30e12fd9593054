"""Parsing and reading a chain's text in every notation."""

from __future__ import annotations

import time
import unicodedata
from dataclasses import replace

import pytest

from got_models.chain.chain import MASK_COLORS, MAX_REGIONS, Box, ChainError, ReasoningChain, Region
from got_models.errors import GoTError

from .examples import HOSTILE, VECTORS, parse, read, view


@pytest.mark.parametrize("vector", VECTORS["parses"], ids=lambda vector: vector["name"])
def test_accepted_forms_become_canonical(vector):
    for text in (vector["text"], vector["canonical"]):
        for chain in (parse(text), ReasoningChain.read(text, "generate", "a prompt", expects_colors=False)):
            assert chain.text == vector["canonical"]
            assert chain.warnings == ()
            assert [
                {
                    "phrase": region.phrase,
                    "box": [region.box.x1, region.box.y1, region.box.x2, region.box.y2],
                    "color": region.color,
                    "marked": chain.text[slice(*region.span)],
                }
                for region in chain.regions
            ] == vector["regions"]


@pytest.mark.parametrize("vector", VECTORS["refuses"], ids=lambda vector: vector["name"])
def test_strict_parse_names_the_place_and_the_reason(vector):
    with pytest.raises(ChainError) as caught:
        parse(vector["text"])
    assert caught.value.position == vector["position"]
    assert vector["says"] in str(caught.value)
    assert f"character {vector['position']}" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("vector", VECTORS["refuses"], ids=lambda vector: vector["name"])
def test_what_strict_parse_refuses_is_read_with_a_warning(vector):
    chain = read(vector["text"])
    assert chain.warnings
    assert view(parse(chain.text)) == view(chain)


@pytest.mark.parametrize("vector", VECTORS["mends"], ids=lambda vector: vector["name"])
def test_what_is_left_out_leaves_no_new_markup(vector):
    assert read(vector["text"]).text == vector["canonical"]


@pytest.mark.parametrize("text", VECTORS["lookalikes"])
def test_what_looks_like_coordinates_and_is_no_box_is_told_once(text):
    for chain in (parse(text), read(text)):
        assert len(chain.warnings) == 1
        assert "looks like coordinates" in chain.warnings[0]
        assert len(chain.warnings[0]) < 300


def test_many_lookalikes_are_told_in_one_warning():
    (warning,) = parse("a cat [100,200,400,500], " * 70).warnings
    assert "There are 69 more like it." in warning


@pytest.mark.parametrize("text", VECTORS["ordinary"])
def test_ordinary_prose_is_no_false_alarm(text):
    assert parse(text).warnings == read(text).warnings == ()
    beside_a_box = f"{text} a cat <|box_start|>(1,2),(3,4)<|box_end|> (red) {text}"
    assert parse(beside_a_box).warnings == ()


def test_a_box_without_a_mask_colour_in_a_models_text_is_told_once():
    chain = read("a cat <|box_start|>(1,2),(3,4)<|box_end|>, a dog (5,6),(7,8), a bird (1,2),(3,4) (blue)")
    assert [region.color for region in chain.regions] == ["red", "green", "blue"]
    assert chain.warnings == (
        "2 of the 3 boxes came without a mask colour and got one: red, green."
        " As published, GoT draws no mask there.",
    )
    assert len(read("a cat (1,2),(3,4), " * 64).warnings) == 1


def test_a_person_need_not_give_mask_colours():
    assert parse("a cat <|box_start|>(1,2),(3,4)<|box_end|>, a dog (5,6),(7,8)").warnings == ()


def test_a_colour_that_cannot_be_used_is_told_once_and_not_as_missing():
    (warning,) = read("a cat <|box_start|>(1,2),(3,4)<|box_end|> (bleu)").warnings
    assert "bleu" in warning


def test_the_mllm_reads_no_markers_and_no_words_of_its_own_making():
    chain = parse("See <|obj_start|>a man in a hat<|obj_end|> (1,2),(3,4) (red).")
    assert chain.mllm_text == "See a man in a hat <|box_start|>(1,2),(3,4)<|box_end|> (red)."
    broken = read("<|im_<|obj_start|>end|> x<|obj_end|> (1,2),(3,4)")
    assert "<|im_end|>" not in broken.mllm_text


@pytest.mark.parametrize("prompt", ["a cafe\u0301", "an \u212bngstrom"])
def test_chains_prompts_and_phrases_are_in_composed_form_from_the_door_on(prompt):
    composed = unicodedata.normalize("NFC", prompt)
    text = f"{prompt} <|box_start|>(1,2),(3,4)<|box_end|> (red)"
    data = {**parse(unicodedata.normalize("NFC", text)).to_json(), "text": text, "prompt": prompt}
    data["regions"][0]["phrase"] = prompt
    made = [
        ReasoningChain.parse(text, "edit", prompt),
        ReasoningChain.read(text, "edit", prompt),
        ReasoningChain.from_json(data),
        ReasoningChain.parse("the dog (1,2),(3,4)", "edit", prompt).rename(0, prompt),
        ReasoningChain.parse("", "edit", prompt).add(prompt, Box(1, 2, 3, 4)),
        replace(parse(text), prompt=prompt),
    ]
    for chain in made:
        assert chain.prompt == chain.regions[0].phrase == composed
        assert unicodedata.is_normalized("NFC", chain.text)
    assert Region(f" \u00a0{prompt}\u3000\n", Box(1, 2, 3, 4), "red", (0, 0)).phrase == composed


@pytest.mark.parametrize(
    "values",
    [(7, Box(1, 2, 3, 4), "red"), ("a", (1, 2, 3, 4), "red"), ("a", Box(1, 2, 3, 4), None)],
)
def test_a_region_refuses_what_is_none(values):
    with pytest.raises(ChainError, match="must be"):
        Region(*values, (0, 0))


@pytest.mark.parametrize("vector", VECTORS["renames"], ids=lambda vector: vector["name"])
def test_renaming_takes_any_words_and_marks_them_where_it_must(vector):
    renamed = parse(vector["text"]).rename(vector["index"], vector["phrase"])
    assert renamed.text == vector["canonical"]
    assert parse(renamed.text) == renamed


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("(5,9),(2,1)", Box(2, 1, 5, 9)),
        ("(5,1),(2,9)", Box(2, 1, 5, 9)),
        ("(-7,0),(3,1200)", Box(0, 0, 3, 999)),
        ("(1.4,2),(3.6,4)", Box(1, 2, 4, 4)),
    ],
)
def test_read_mends_a_doubtful_box(written, used):
    chain = read(f"a cat <|box_start|>{written}<|box_end|> (blue) sits")
    assert view(chain) == [("a cat", used, "blue")]
    assert len(chain.warnings) == 1
    assert written in chain.warnings[0]


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("a cat <|box_start|>(5,5),(5,9)<|box_end|> (blue) sits", "a cat sits"),
        ("a cat (5,5),(5,9) (blue), sitting", "a cat, sitting"),
        ("<|box_start|>somewhere<|box_end|> a cat", "a cat"),
        ("a cat<|box_start|>(1,2)<|box_end|>sits", "a cat sits"),
        ("<|obj_start|>a cat<|obj_end|> <|box_start|>(1,2)<|box_end|> sits", "a cat sits"),
        ("a cat <|im_gen_start|> sits<|endoftext|><|im_end|>", "a cat sits"),
        ("a cat <|im_<|im_end|>end|> sits", "a cat <|im_ end|> sits"),
    ],
)
def test_read_leaves_out_what_cannot_be_used(written, left):
    chain = read(written)
    assert chain.text == left
    assert chain.regions == ()
    assert chain.warnings


def test_read_gives_duplicate_and_unknown_colours_the_next_free_one():
    boxes = [
        f"a cat <|box_start|>(1,2),(3,4)<|box_end|> ({color})" for color in ("red", "red", "bleu", "green")
    ]
    chain = read(", ".join(boxes))
    assert [region.color for region in chain.regions] == ["red", "blue", "yellow", "green"]
    assert len(chain.warnings) == 2


def test_read_uses_the_first_64_boxes():
    chain = read("a cat (1,2),(3,4), " * 66)
    assert [region.color for region in chain.regions] == list(MASK_COLORS)
    assert len(chain.warnings) == 3
    assert len(parse(chain.text).regions) == MAX_REGIONS


def test_read_copes_with_long_garbage():
    for piece in (
        "(",
        "<|",
        "<|obj_start|>",
        "<|box_start|>",
        "(1,",
        "((5,5),(5,5))",
        "<|im_end|>",
        "9",
        "( ",
    ):
        chain = read(piece * 4000)
        assert view(parse(chain.text)) == view(chain)


@pytest.mark.parametrize("piece", HOSTILE)
def test_200_kilobytes_of_anything_are_read_in_time(piece):
    started = time.process_time()
    chain = read(piece * (200_000 // len(piece)))
    assert parse(chain.text) == chain
    assert time.process_time() - started < 5  # quadratic time is minutes


@pytest.mark.parametrize(
    ("left", "core", "right"),
    [
        ("(5,", "(5,5),(5,5)", "5),(5,5)"),
        ("(5,5),", "<|im_end|>", "(5,5)"),
        ("<", "<|im_end|>", "|im_end|>"),
        ("<|obj_start|>a (5,", "(5,5),(5,5)", "5),(5,5)<|obj_end|> (5,5),(5,5)"),
        ("<|box_start|>(5,5),", "<|box_start|>(5,5),(5,5)<|box_end|>", "(5,5)<|box_end|>"),
        ("<|obj_", "<|obj_start|>x<|obj_end|>(5,5),(5,5)", "start|>y<|obj_end|> (5,5),(5,5)"),
    ],
)
def test_markup_in_markup_is_read_in_time(left, core, right):
    """Were each layer read only once the one inside it has gone, this would take minutes."""
    started = time.process_time()
    chain = read(left * 8000 + core + right * 8000)
    assert parse(chain.text) == chain
    assert time.process_time() - started < 5


def test_half_a_character_is_refused_and_left_out():
    with pytest.raises(ChainError, match="character 2"):
        parse("a \ud800cat")
    assert read("a \ud800cat").text == "a cat"


@pytest.mark.parametrize(
    "text",
    [
        f"<|{'a' * 100_000}|>",
        f"a cat <|box_start|>(1,2),(3,4)<|box_end|> ({'a' * 100_000})",
        f"a cat (1,2),(3,{'9' * 100_000})",
        f"<|obj_start|>{'a' * 100_000}<|obj_end|>",
        f"a cat <|box_start|>{'a' * 100_000}<|box_end|>",
        f"<bbox {'a' * 50}>" * 2000,
    ],
)
def test_messages_about_long_texts_are_short(text):
    messages = [*read(text).warnings]
    try:
        parse(text)
    except ChainError as error:
        messages.append(str(error))
    assert messages
    assert max(map(len, messages)) < 400


def test_unknown_task_is_refused():
    for method in (ReasoningChain.parse, ReasoningChain.read):
        with pytest.raises(GoTError, match=r"'paint'.*generate, edit"):
            method("a cat", "paint", "")
