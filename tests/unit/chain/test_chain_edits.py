"""Moving, renaming, removing and adding regions."""

from __future__ import annotations

import pytest

from got_models.chain.chain import MASK_COLORS, MAX_REGIONS, Box, ChainError, ReasoningChain

from .examples import TEXT, parse, view


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
