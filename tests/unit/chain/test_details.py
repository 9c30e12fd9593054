"""What boxes say besides words and place: in JSON, through edits, and boxes that are switched off."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from got_models.chain.chain import Box, ChainError, ReasoningChain
from got_models.chain.details import PLAIN, Detail, Stated
from got_models.chain.switched_off import without_switched_off

TEXT = "On a wall there is a sign (1,2),(300,400) (red) to the left of a dog (500,500),(900,900) (green)."
SIGN = Detail("OPEN", ("#FF8800", "#000000"), 2, False, 1.5)


def chain_with(*details: Detail, text: str = TEXT, prompt: str = "a sign and a dog") -> ReasoningChain:
    chain = ReasoningChain.parse(text, "generate", prompt)
    pairs = zip(chain.regions, details, strict=True)
    return replace(chain, regions=tuple(replace(region, detail=detail) for region, detail in pairs))


def details(chain: ReasoningChain) -> dict[str, Detail]:
    return {region.phrase: region.detail for region in chain.regions if region.detail != PLAIN}


def test_a_chain_that_says_nothing_besides_is_saved_as_ever() -> None:
    data = ReasoningChain.parse(TEXT, "generate", "").to_json()
    assert list(data) == ["version", "task", "prompt", "text", "regions"]


def test_details_are_saved_next_to_the_text_which_does_not_hold_them() -> None:
    chain = chain_with(SIGN, PLAIN)
    data = json.loads(json.dumps(chain.to_json()))
    assert data["details"]["version"] == 1
    assert len(data["details"]["boxes"]) == 1
    assert ReasoningChain.from_json(data) == chain
    assert "OPEN" not in chain.text
    assert chain.text == chain_with(PLAIN, PLAIN).text
    assert chain.mllm_text == chain_with(PLAIN, PLAIN).mllm_text


def test_every_edit_leaves_each_box_its_details() -> None:
    chain = chain_with(SIGN, Detail(strength=0.5))
    assert details(chain.move_box(0, Box(5, 5, 50, 50))) == details(chain)
    renamed = chain.rename(0, "a board")
    assert details(renamed)["a board"] == SIGN
    assert details(chain.remove(0)) == {"a dog": Detail(strength=0.5)}
    assert details(chain.add("a dog", Box(5, 5, 9, 9)))["a sign"] == SIGN
    added = chain.add("a cat", Box(950, 950, 999, 999)).remove(1)
    assert details(added) == {"a sign": SIGN}


def test_boxes_are_found_by_colour_and_words_then_by_words_then_by_colour() -> None:
    texts = "a dog (1,2),(3,4) (red), a dog (5,6),(7,8) (green), a cat (9,9),(20,20) (blue)"
    chain = ReasoningChain.parse(texts, "generate", "")

    def orders(*stated: tuple[str, str]) -> list[int]:
        found = chain.with_details(
            [Stated(color, phrase, Detail(order=i)) for i, (color, phrase) in enumerate(stated, 1)]
        )
        return [region.detail.order for region in found.regions]

    assert orders(("green", "a dog"), ("red", "a dog")) == [2, 1, 0]
    assert orders(("white", "a dog"), ("black", "a dog")) == [1, 2, 0]
    assert orders(("blue", "a lion")) == [0, 0, 1]
    assert orders(("gray", "a lion")) == [0, 0, 0]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"version": 2, "boxes": []}, "newer version"),
        ({"version": True, "boxes": []}, "version"),
        ({"boxes": []}, "version"),
        ([], "version"),
        (None, "version"),
        ({"version": 1, "boxes": {}}, "boxes"),
        ({"version": 1, "boxes": [7]}, "color"),
        *(
            ({"version": 1, "boxes": [{"color": "red", "phrase": "a sign", **wrong}]}, name)
            for name, wrong in [
                ("text", {"text": 7}),
                ("text", {"text": "x" * 2000}),
                ("palette", {"palette": "#FF8800"}),
                ("palette", {"palette": ["red"]}),
                ("palette", {"palette": ["#FF8800"] * 6}),
                ("palette", {"palette": [{}]}),
                ("order", {"order": 1.5}),
                ("order", {"order": 10**9}),
                ("on", {"on": "no"}),
                ("strength", {"strength": 3}),
                ("strength", {"strength": float("nan")}),
                ("strength", {"strength": 10**400}),
                ("strength", {"strength": True}),
            ]
        ),
    ],
)
def test_a_block_that_cannot_be_read_is_refused_with_the_reason(block: Any, expected: str) -> None:
    data = {**ReasoningChain.parse(TEXT, "generate", "").to_json(), "details": block}
    with pytest.raises(ChainError, match=expected):
        ReasoningChain.from_json(data)


def test_what_a_block_says_that_is_not_known_is_passed_over() -> None:
    entry = {"color": "red", "phrase": "a sign", "palette": ["#ff8800"], "glow": 7, "order": 1}
    data = {**ReasoningChain.parse(TEXT, "generate", "").to_json()}
    data["details"] = {"version": 1, "boxes": [entry, {"color": "pink", "phrase": "gone", "order": 3}]}
    assert details(ReasoningChain.from_json(data)) == {"a sign": Detail(palette=("#FF8800",), order=1)}


def test_a_box_that_is_switched_off_leaves_text_and_prompt() -> None:
    chain = chain_with(PLAIN, Detail(on=False))
    drawn = without_switched_off(chain)
    assert [region.phrase for region in drawn.regions] == ["a sign"]
    assert "dog" not in drawn.text
    assert drawn.prompt == "a sign"
    assert drawn.warnings == ("Left out, because switched off in the plan: 'a dog'.",)
    assert without_switched_off(drawn) is drawn
    assert chain.text.count("dog") == 1, "the chain itself keeps it"


def test_where_everything_is_switched_off_it_is_said() -> None:
    chain = chain_with(Detail(on=False), text="a dog (1,2),(300,400) (red)")
    with pytest.raises(ChainError, match="switched off"):
        without_switched_off(chain)


def test_words_that_must_stay_and_a_prompt_that_names_them_otherwise_are_told() -> None:
    text = "The man (1,2),(300,400) (red) holds his hat (5,5),(100,100) (green)."
    drawn = without_switched_off(chain_with(Detail(on=False), PLAIN, text=text, prompt="a portrait"))
    assert [region.phrase for region in drawn.regions if region.box.x2 == 300] == []
    assert any("man" in warning and "stay" in warning for warning in drawn.warnings)
