from __future__ import annotations

import json
import time
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import ImageColor

from got_models.chain.chain import MASK_COLORS, MAX_REGIONS, Box, ChainError, ReasoningChain, Region
from got_models.errors import GoTError

VECTORS = json.loads((Path(__file__).parents[2] / "fixtures" / "chains.json").read_text(encoding="utf-8"))
TEXT = (
    "A red circle <|box_start|>(100,200),(400,500)<|box_end|> (red) is left of"
    " a blue square <|box_start|>(600,200),(900,500)<|box_end|> (green)."
)

HOSTILE = [
    *(
        "(",
        "((",
        "( ",
        "(1",
        "(1,",
        "(1,2),",
        "(5,",
        "5),(5,5)",
        "(5,5),(5,5)",
        "((5,5),(5,5))",
        "9",
        "-",
        ".",
    ),
    *(
        "<|",
        "<|im_",
        "<|im_end|>",
        "<|obj_start|>",
        "<|object_ref_start|>",
        "<|obj_start|>a",
        "<|box_start|>",
    ),
    *("<|box_start|>(5,5),", "<|box_start|>(5,5),(5,5)<|box_end|>", "<|box_end|>", "\ud800", "\x00", "\r\n"),
    *(" ", "\u00a0", "\n", "\u200b", "\u200d", "\u0300", "\u0300\u0316", "e\u0301", "（", "，", "１"),  # noqa: RUF001
    *("[", "[1,2,", "[1, 2, 3, 4] ", "[[1.1,", "1 1 1 1 ", "10% ", "x: 1", "bbox", "<loc_1", "a ", "a", ". "),
    *("<|obj_start|>a<|obj_end|> (5,5),(5,5)", "<<|obj_start|>|im_end|x<|obj_end|> (5,5),(5,5)"),
]
NESTED: Any = []
for _ in range(100_000):
    NESTED = [NESTED]


def parse(text: str) -> ReasoningChain:
    return ReasoningChain.parse(text, "generate", "a prompt")


def read(text: str) -> ReasoningChain:
    return ReasoningChain.read(text, "generate", "a prompt")


def view(chain: ReasoningChain) -> list[tuple[str, Box, str]]:
    return [(region.phrase, region.box, region.color) for region in chain.regions]


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


def test_mask_colors_are_distinct_and_visible_on_black():
    rgb = [ImageColor.getrgb(color) for color in MASK_COLORS]
    assert len(rgb) == len(set(rgb)) == MAX_REGIONS
    assert min(max(color) for color in rgb) >= 128
    assert MASK_COLORS[:8] == ("red", "green", "blue", "yellow", "magenta", "cyan", "orange", "purple")
    assert VECTORS["mask_colors"] == list(MASK_COLORS)


@pytest.mark.parametrize(
    "corners",
    [
        (0, 0, 0, 9),
        (0, 0, 9, 0),
        (9, 0, 1, 9),
        (0, 9, 9, 1),
        (-1, 0, 9, 9),
        (0, 0, 1000, 9),
        (0, 0, 9.0, 9),
        (True, 0, 9, 9),
        ("0", 0, 9, 9),
    ],
)
def test_box_refuses_what_is_no_box(corners):
    with pytest.raises(ChainError):
        Box(*corners)


def test_box_in_pixels():
    assert Box(0, 0, 999, 999).to_pixels(128, 64) == (0, 0, 128, 64)
    assert Box(250, 500, 750, 999).to_pixels(1000, 1000) == (250, 500, 750, 999)
    assert Box(998, 998, 999, 999).to_pixels(8, 8) == (7, 7, 8, 8)
    assert Box(500, 500, 501, 501).to_pixels(8, 8) == (4, 4, 5, 5)
    assert Box.from_pixels(32, 0, 96, 64, 128, 64) == Box(250, 0, 750, 999)
    assert Box.from_pixels(-5, -5, 500, 500, 128, 64) == Box(0, 0, 999, 999)
    assert Box.from_pixels(128, 64, 128, 64, 128, 64) == Box(998, 998, 999, 999)


def test_box_geometry():
    box = Box(0, 0, 100, 200)
    assert box.center == (50, 100)
    assert box.iou(box) == 1
    assert box.iou(Box(100, 0, 200, 200)) == 0
    assert box.iou(Box(500, 500, 600, 600)) == 0
    assert box.iou(Box(50, 100, 150, 300)) == pytest.approx(5000 / 35000)


def test_moving_a_box_changes_only_its_numbers():
    moved = parse(TEXT).move_box(0, Box(1, 2, 3, 4))
    assert moved.text == TEXT.replace("(100,200),(400,500)", "(1,2),(3,4)")
    assert moved.regions[0].box == Box(1, 2, 3, 4)
    assert view(moved)[1:] == view(parse(TEXT))[1:]


def test_moving_a_box_of_a_marked_phrase_keeps_the_phrase():
    chain = parse("<|obj_start|>a man in a hat<|obj_end|> (1,2),(3,4)")
    assert view(chain.move_box(0, Box(5, 6, 7, 8))) == [("a man in a hat", Box(5, 6, 7, 8), "red")]


def test_renaming_changes_only_the_phrase():
    renamed = parse(TEXT).rename(1, "the green star")
    assert renamed.text == TEXT.replace("a blue square", "the green star")
    assert [region.phrase for region in renamed.regions] == ["A red circle", "the green star"]


def test_renaming_a_box_without_a_phrase_gives_it_one():
    assert parse("Area:(1,2),(3,4)").rename(0, " a cat ").text == (
        "Area: a cat <|box_start|>(1,2),(3,4)<|box_end|> (red)"
    )


def test_renaming_a_marked_phrase_takes_any_words():
    chain = parse("<|obj_start|>a man in a hat<|obj_end|> (1,2),(3,4)").rename(0, "the man, in the hat")
    assert view(chain) == [("the man, in the hat", Box(1, 2, 3, 4), "red")]
    assert "<|obj_start|>" not in chain.rename(0, "a man").text


@pytest.mark.parametrize(
    ("phrase", "says"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("a\ncat", "line breaks"),
        ("a <|im_end|>", "markup"),
        ("a <|box_start|>(1,2),(3,4)<|box_end|>", "markup"),
        ("a cat (1,2),(3,4)", "markup"),
        ("a cat （１，２），（３，４）", "markup"),  # noqa: RUF001
        ("a \ud800cat", "markup"),
        ("\u00a0\u200b\x00", "empty"),
    ],
)
def test_a_phrase_that_can_be_none_is_refused(phrase, says):
    with pytest.raises(ChainError) as caught:
        parse(TEXT).rename(1, phrase)
    assert says in str(caught.value)


def test_where_the_sentence_needs_the_words_of_a_removed_region_they_stay():
    removed = parse(TEXT).remove(0)
    assert removed.text == TEXT.replace(" <|box_start|>(100,200),(400,500)<|box_end|> (red)", "")
    assert view(removed) == view(parse(TEXT))[1:]
    assert removed.remove(0).text == "A red circle is left of a blue square."
    marked = parse("See <|obj_start|>a man in a hat<|obj_end|> (1,2),(3,4) (red).")
    assert marked.remove(0).text == "See a man in a hat."


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("", "a cat {box}."),
        ("A dog.", "A dog. There is also a cat {box}."),
        ("A dog", "A dog, and a cat {box}"),
        ("A dog,", "A dog, and a cat {box}"),
        ("A dog.\n", "A dog. There is also a cat {box}.\n"),
    ],
)
def test_an_added_region_gets_a_sentence_or_joins_one(text, added):
    chain = parse(text).add("a cat", Box(1, 2, 3, 4))
    assert chain.text == added.format(box="<|box_start|>(1,2),(3,4)<|box_end|> (red)")
    assert view(chain) == [("a cat", Box(1, 2, 3, 4), "red")]


def test_an_added_region_takes_the_next_free_colour_until_the_chain_is_full():
    chain = parse(TEXT)
    for _ in range(MAX_REGIONS - 2):
        chain = chain.add("a cat", Box(1, 2, 3, 4))
    assert {region.color for region in chain.regions} == set(MASK_COLORS)
    with pytest.raises(ChainError, match="at most 64"):
        chain.add("a cat", Box(1, 2, 3, 4))


@pytest.mark.parametrize(
    "phrase", ["a man in a hat", "红色圆", "ein blauer Stern", "a cat (red)", "so, then"]
)
def test_an_added_phrase_is_marked_where_it_must_be(phrase):
    for text in ("", TEXT, "Hier ist", "画面上有"):
        chain = parse(text).add(phrase, Box(1, 2, 3, 4))
        assert phrase in [region.phrase for region in chain.regions]
        assert parse(chain.text) == chain


def test_editing_keeps_task_prompt_and_warnings():
    chain = ReasoningChain.read("a cat (5,9),(2,1)", "edit", "remove the cat")
    for edited in (chain.move_box(0, Box(1, 2, 3, 4)), chain.rename(0, "the cat"), chain.remove(0)):
        assert (edited.task, edited.prompt, edited.warnings) == ("edit", "remove the cat", chain.warnings)


@pytest.mark.parametrize("index", [-1, 2])
def test_editing_a_region_that_is_not_there_is_refused(index):
    with pytest.raises(ChainError, match="0 to 1"):
        parse(TEXT).remove(index)


def test_json_round_trip():
    chain = ReasoningChain.parse(TEXT, "edit", "move it")
    data = json.loads(json.dumps(chain.to_json()))
    assert data["regions"][0] == {"phrase": "A red circle", "box": [100, 200, 400, 500], "color": "red"}
    assert ReasoningChain.from_json(data) == chain


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "newer version"),
        ({"version": "1"}, "version"),
        ({"version": True}, "version"),
        ({"version": None}, "version"),
        ({"task": "paint"}, "paint"),
        ({"prompt": 3}, "prompt"),
        ({"text": None}, "text"),
        ({"text": "no boxes"}, "do not agree"),
        ({"text": TEXT.replace("(400,500)", "(400,100)")}, "swapped"),
        ({"regions": {}}, "regions"),
        ({"regions": []}, "do not agree"),
        ({"regions": ["a cat"]}, "Region 0"),
        ({"regions": [{"phrase": "a", "color": "red"}]}, "Region 0"),
        ({"regions": [{"phrase": "a", "color": "red", "box": [1, 2, 3]}]}, "region 0"),
        ({"regions": [{"phrase": "a", "color": "red", "box": [1.0, 2, 3, 4]}]}, "whole numbers"),
        ({"regions": [{"phrase": "a", "color": "red", "box": [10**9000, 2, 3, 4]}]}, "0 to 999"),
        ({"regions": [{"phrase": 7, "color": "red", "box": [1, 2, 3, 4]}]}, "phrase must be text"),
        ({"regions": [{"phrase": "a", "color": ["red"], "box": [1, 2, 3, 4]}]}, "colour must be text"),
        ({"regions": [{"phrase": "a" * 10**6, "color": "red", "box": [1, 2, 3, 4]}]}, "do not agree"),
        ({"regions": [[[]]] * 10**6}, "at most 64"),
        ({"version": 10**9000}, "newer version"),
        ({"version": NESTED}, "version"),
        ({"task": NESTED}, "task"),
        ({"text": NESTED}, "text"),
        ({"prompt": NESTED}, "prompt"),
        ({"regions": [NESTED]}, "Region 0"),
        ({"regions": [{"phrase": NESTED, "color": "red", "box": [1, 2, 3, 4]}]}, "phrase must be text"),
        ({"regions": [{"phrase": "a", "color": "red", "box": NESTED}]}, "region 0"),
        ({"regions": [{"phrase": "a", "color": "red", "box": [NESTED, 2, 3, 4]}]}, "whole numbers"),
        ({"regions": [{"phrase": "a", "color": "red", "box": [True, 2, 3, 4]}]}, "whole numbers"),
    ],
)
def test_json_that_does_not_hold_together_is_refused(change, says):
    with pytest.raises(ChainError) as caught:
        ReasoningChain.from_json({**parse(TEXT).to_json(), **change})
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500


def test_json_whose_box_was_changed_in_the_regions_alone_is_refused():
    data = parse(TEXT).to_json()
    data["regions"][0]["box"][0] = 101
    with pytest.raises(ChainError, match="Change the text as well"):
        ReasoningChain.from_json(data)


def test_coordinate_1000_in_json_is_the_edge():
    data = parse("a cat (0,0),(999,999)").to_json()
    edge = parse("a cat (0,0),(1000,1000)")
    data["regions"][0]["box"] = [0, 0, 1000, 1000]
    assert ReasoningChain.from_json(data) == edge
    assert edge.warnings == read("a cat <|box_start|>(0,0),(1000,1000)<|box_end|> (red)").warnings == ()


def test_a_chain_saved_when_other_signs_bounded_a_phrase_keeps_its_phrase():
    phrase = "红色圆，很大"  # noqa: RUF001
    text = f"有一个 {phrase} <|box_start|>(1,2),(3,4)<|box_end|> (red)"
    regions = [{"phrase": phrase, "box": [1, 2, 3, 4], "color": "red"}]
    data = {"version": 1, "task": "generate", "prompt": "", "text": text, "regions": regions}
    chain = ReasoningChain.from_json(data)
    assert [region.phrase for region in chain.regions] == [phrase]
    assert chain.mllm_text == text
    regions[0]["phrase"] = "别的"
    with pytest.raises(ChainError, match="do not agree"):
        ReasoningChain.from_json(data)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"{TEXT}\n",
        f"1. A wall.\n2. {TEXT}\n\n",
        "",
        "红色圆，<|obj_start|>a man, in a hat<|obj_end|> (1,2),(3,4)",  # noqa: RUF001
        " \u00a0a cafe\u0301 (1,2),(3,4)\u3000",
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_text_file_read_back_is_the_chain_that_was_written(tmp_path, text, line_end, mark):
    chain = parse(text)
    file = tmp_path / "chain.txt"
    file.write_bytes((mark + (chain.text + "\n").replace("\n", line_end)).encode())
    assert ReasoningChain.load(file, "generate", "a prompt") == chain


def test_a_chain_file_has_a_limit(tmp_path):
    (tmp_path / "chain.txt").write_bytes(b"a" * 1_000_001)
    with pytest.raises(ChainError, match="more than 1,000,000 bytes"):
        ReasoningChain.load(tmp_path / "chain.txt", "generate", "a prompt")


def test_load_json_and_text(tmp_path):
    chain = parse(TEXT)
    as_json, as_text = tmp_path / "chain.json", tmp_path / "chain.txt"
    as_json.write_text(json.dumps(chain.to_json()), encoding="utf-8")
    as_text.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert ReasoningChain.load(as_json) == chain
    assert ReasoningChain.load(as_json, "generate", "other").prompt == "other"
    assert ReasoningChain.load(as_text, "generate", "a prompt") == chain
    with pytest.raises(ChainError, match="task"):
        ReasoningChain.load(as_text)
    with pytest.raises(ChainError, match=r"'generate'.*'edit'"):
        ReasoningChain.load(as_json, "edit")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("chain.json", b"{"),
        ("chain.json", b"[]"),
        ("chain.json", b"[" * 100_000),
        ("chain.json", b"\xff\xfe\x00"),
        ("chain.txt", b"\xff\xfe\x00"),
    ],
)
def test_a_file_that_is_no_chain_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ChainError):
        ReasoningChain.load(tmp_path / name, "generate", "a prompt")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(ChainError, match="Cannot read"):
            ReasoningChain.load(path, "generate", "a prompt")
