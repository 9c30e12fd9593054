"""GoT Regional Conditioning without ComfyUI: what it reads from its widgets, and what it says."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.chain.details import Detail, Stated
from got_pack.got_models.errors import GoTError
from got_pack.nodes.regional import GoTRegionalConditioning, read_strengths, remarks

NO_BOX = ReasoningChain.parse("A white background.", "generate", "a white background")


@dataclass
class Region:
    words: str = "a red circle"
    lora: Any = None


def keys(regions: list[Region], *loras: Any, in_one_pass: bool = True) -> list[str]:
    painting = SimpleNamespace(in_one_pass=in_one_pass)
    four = (*loras, None, None, None, None)[:4]
    return [note.key for note in remarks(painting, regions, four, len(regions))]


@pytest.mark.parametrize(
    ("text", "strengths"),
    [
        ("", [1, 1, 1]),
        ("0.5", [0.5, 1, 1]),
        ("0.5, 2,0", [0.5, 2, 0]),
        ("0.5 2\n3", [0.5, 2, 3]),
        ("1，2，3", [1, 2, 3]),  # noqa: RUF001
    ],
)
def test_strengths_are_read_in_the_order_of_the_boxes(text: str, strengths: list[float]) -> None:
    assert read_strengths(text, 3) == strengths


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1, 2, 3, 4", ["4 numbers", "3 boxes"]),
        ("strong", ["'strong'", "0 to 10"]),
        ("-1", ["'-1'", "0 to 10"]),
        ("nan", ["'nan'"]),
        ("inf", ["'inf'"]),
        ("1e9", ["'1e9'"]),
        ("9" * 9000, ["0 to 10"]),
    ],
)
def test_other_strengths_are_refused_by_name(text: str, words: list[str]) -> None:
    with pytest.raises(GoTError) as caught:
        read_strengths(text, 3)
    message = str(caught.value)
    assert "region_strengths" in message and [word for word in words if word not in message] == []
    assert len(message) < 300


def test_a_plan_without_a_box_is_refused() -> None:
    with pytest.raises(GoTError, match="no box"):
        GoTRegionalConditioning().apply(object(), object(), NO_BOX, "", 0.2, 0.05)


def test_boxes_bring_their_own_strength_and_those_switched_off_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Any] = []

    def apply_regions(*arguments: Any) -> SimpleNamespace:
        given.extend(arguments)
        return SimpleNamespace(model=None, positive=None, negative=None, in_one_pass=True)

    native = SimpleNamespace(
        RegionalPrompt=lambda *values: SimpleNamespace(words=values[0], strength=values[2], lora=values[3]),
        apply_regions=apply_regions,
    )
    monkeypatch.setitem(sys.modules, "got_pack.nodes._native.regional", native)
    chain = ReasoningChain.parse(
        "a cat (1,2),(300,400) and a dog (500,500),(900,900)", "generate", "a cat and a dog"
    )
    off, strong = Detail(on=False), Detail(strength=0.5)
    chain = chain.with_details([Stated("red", "a cat", off), Stated("green", "a dog", strong)])
    answer = GoTRegionalConditioning().apply(
        object(), object(), chain, "", 0.2, 0.05, region_strengths="1, 2", lora_2="hooks"
    )
    prompt, regions = given[2], given[4]
    assert prompt == "a dog"
    assert [(region.words, region.strength, region.lora) for region in regions] == [("a dog", 1.0, "hooks")]
    off, *others = answer["ui"]["notes"]
    assert "switched off in the plan: 'a cat'" in off["en"]
    assert not any("no effect" in note["en"] for note in others)


def test_a_plan_whose_boxes_are_all_switched_off_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules,
        "got_pack.nodes._native.regional",
        SimpleNamespace(RegionalPrompt=None, apply_regions=None),
    )
    chain = ReasoningChain.parse("a cat (1,2),(300,400)", "generate", "a cat")
    chain = chain.with_details([Stated("red", "a cat", Detail(on=False))])
    with pytest.raises(GoTError, match="switched off"):
        GoTRegionalConditioning().apply(object(), object(), chain, "", 0.2, 0.05)


def test_a_plain_plan_needs_no_remark() -> None:
    assert keys([Region(), Region()]) == []


def test_the_node_says_what_costs_passes_and_what_has_no_effect() -> None:
    assert keys([Region()] * 3, in_one_pass=False) == ["regional_passes"]
    assert keys([Region(lora="hooks"), Region()], "hooks") == ["regional_loras"]
    assert keys([Region()], None, None, "hooks") == ["regional_unused_loras"]
    assert keys([Region(), Region(words="")]) == ["regional_no_words"]
