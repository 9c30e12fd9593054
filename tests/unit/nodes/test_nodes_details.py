"""What boxes say besides their words, in the nodes that hand a plan on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.chain.details import Detail, Stated
from got_pack.got_models.chain.plan_check import details_left_aside
from got_pack.got_models.notes import Note
from got_pack.nodes._plans import by_language
from got_pack.nodes.chain import KEEP_MINE, GoTChainFromText, GoTChainToMasks, GoTEditChain
from got_pack.nodes.checking import GoTCheck
from got_pack.nodes.notations import GoTChainToJSON
from got_pack.nodes.planning import GoTPlan

TEXT = "A sign (0,0),(500,500) (red) and a wall (250,0),(999,999) (green) in the sun."
SIGN = Detail("OPEN", ("#FF8800", "#000000"), 1, True, 1.5)
LEFT_OUT = by_language([Note("switched_off", names="'a wall'")])[0]


def chain(sign: Detail = SIGN, wall: Detail | None = None) -> ReasoningChain:
    stated = [Stated("red", "A sign", sign), Stated("green", "a wall", wall or Detail())]
    return ReasoningChain.parse(TEXT, "generate", "a sign and a wall").with_details(stated)


def test_the_editor_hands_the_details_on_and_leaves_what_is_off_out_of_text_and_layout() -> None:
    mine = chain(Detail("OPEN", on=False))
    edited = json.dumps({"upstream": "", "chain": mine.to_json()})
    out, text, layout, _ = GoTEditChain().edit(edited, KEEP_MINE)["result"]
    assert out == mine
    assert "sign" not in text
    assert layout.shape[-1] == 3


def test_a_plan_made_around_a_locked_box_keeps_its_details() -> None:
    edited = {"upstream": "old", "chain": chain().to_json(), "locked": ["red"], "replan": True}
    new = ReasoningChain.parse("A cat (1,1),(9,9) (red) and A sign (0,0),(500,500) (blue).", "generate", "p")
    out, *_, locked = GoTEditChain().edit(json.dumps(edited), KEEP_MINE, new)["result"]
    assert [region.detail for region in out.regions] == [Detail(), SIGN]
    assert [region.phrase for region in locked.regions] == ["A sign"]


def test_of_masks_that_overlap_the_one_in_front_is_whole_and_boxes_tell_their_order() -> None:
    masks, boxes, *_ = GoTChainToMasks().convert(chain(), 100, 100)["result"]
    assert masks[0].sum() == 50 * 50
    assert masks[1, 10, 30] == 0, "the sign is in front"
    assert masks[1, 10, 60] == 1
    assert [box["metadata"].get("z_index") for box in boxes[0]] == [1, None]
    sign = boxes[0][0]["metadata"]
    assert (sign["type"], sign["text"], sign["palette"]) == ("text", "OPEN", ["#FF8800", "#000000"])
    plain, *_ = GoTChainToMasks().convert(ReasoningChain.parse(TEXT, "generate", "p"), 100, 100)["result"]
    assert plain[1, 10, 30] == 1, "without an order both are whole"


def test_captions_hold_lettering_and_colours_and_nothing_of_what_is_off() -> None:
    written = GoTChainToJSON().write(chain(), "ideogram", 64, 64)
    caption, _, elements, background, boxes, phrases = written["result"]
    assert elements[0] == {
        "type": "text",
        "bbox": [0, 0, 500, 500],
        "text": "OPEN",
        "desc": "A sign",
        "color_palette": ["#FF8800", "#000000"],
    }
    assert json.loads(caption)["compositional_deconstruction"]["elements"] == elements
    off = GoTChainToJSON().write(chain(wall=Detail(on=False)), "ideogram", 64, 64)["result"]
    assert "wall" not in json.dumps(off)
    assert off[5] == ["A sign"]
    assert len(boxes) == len(phrases) == 2
    assert background == "In the sun."


@pytest.mark.parametrize(
    "use",
    [
        lambda plan: GoTChainToMasks().convert(plan, 64, 64),
        lambda plan: GoTChainToJSON().write(plan, "got", 64, 64),
        lambda plan: GoTCheck().check(plan, torch.zeros(1, 64, 64, 3), boxes="[0, 0, 500, 500] a sign"),
    ],
    ids=["masks", "JSON", "check"],
)
def test_every_node_that_leaves_out_what_is_off_says_so(
    use: Callable[[ReasoningChain], dict[str, Any]],
) -> None:
    assert said_of_off(use(chain(wall=Detail(on=False)))["ui"]["notes"]) == [LEFT_OUT]
    assert said_of_off(use(chain())["ui"]["notes"]) == []


def test_what_is_locked_but_off_is_not_planned_around_and_that_is_said() -> None:
    answer = '[{"bbox_2d": [100, 200, 400, 500], "label": "a cat"}]'
    locked = chain(wall=Detail(on=False))
    planned = GoTPlan().plan("a cat", "generate", 0, 0.0, 64, answer=answer, locked=locked)
    assert [region.phrase for region in planned["result"][0].regions] == ["a cat", "A sign"]
    assert said_of_off(planned["ui"]["plans"][0]["notes"]) == [LEFT_OUT]


def said_of_off(notes: list[dict[str, str]]) -> list[dict[str, str]]:
    return [note for note in notes if "switched off" in note["en"]]


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        (Detail(), Detail(), ""),
        (Detail("OPEN"), Detail(), "lettering"),
        (Detail(palette=("#FF8800",)), Detail(strength=0.5), "colours and strength"),
        (Detail(order=1), Detail(), "order"),
    ],
)
def test_what_got_cannot_obey_is_named(first: Detail, second: Detail, names: str) -> None:
    said = [str(note) for note in details_left_aside(chain(first, second))]
    assert said == [] if not names else f"about {names} is" in said[0]


def test_lettering_and_colours_of_another_notation_are_kept_and_come_out_again() -> None:
    elements: list[dict[str, Any]] = [
        {
            "type": "text",
            "bbox": [0, 0, 500, 500],
            "text": "OPEN",
            "desc": "a sign",
            "color_palette": ["#F80", "red"],
        }
    ]
    pasted = json.dumps({"compositional_deconstruction": {"background": "A wall.", "elements": elements}})
    (read,) = GoTChainFromText().parse("generate", "", pasted)["result"]
    (region,) = read.regions
    assert region.detail == Detail("OPEN", ("#FF8800", "#FF0000"))
    assert not read.warnings
    (written,) = GoTChainToJSON().write(read, "ideogram", 64, 64)["result"][2]
    assert (written["text"], written["color_palette"]) == ("OPEN", ["#FF8800", "#FF0000"])


def test_a_saved_chain_that_is_pasted_as_text_keeps_everything() -> None:
    (read,) = GoTChainFromText().parse("generate", "", json.dumps(chain().to_json()))["result"]
    assert [region.detail for region in read.regions] == [SIGN, Detail()]
