"""GoT Check and GoT Pick Best, with a model that finds what it is told to."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.chain.notations.plan import Element, LayoutPlan
from got_pack.got_models.diffusion.settings import GuidanceScales
from got_pack.got_models.errors import GoTError
from got_pack.nodes import checking
from got_pack.nodes._model import ManagedModel
from got_pack.nodes.checking import GoTCheck, GoTPickBest
from got_pack.nodes.guidance import EncodedPlan
from got_pack.nodes.look_again import GoTLookAgain

CHAIN = ReasoningChain.parse("A red circle (0,0),(500,500) on white.", "generate", "a circle")
PICTURES = torch.stack([torch.full((64, 64, 3), level) for level in (0.0, 0.5, 1.0)])


class Looking(ManagedModel):
    """A model that finds the circle in its place in pictures that are at least so bright."""

    def __init__(self, least: float) -> None:
        self.least = least

    def locate(self, image: Any, *_: Any, **__: Any) -> LayoutPlan:
        there = image.getpixel((0, 0))[0] >= 255 * self.least
        return LayoutPlan((Element("red circle", (0.0, 0.0, 0.5, 0.5)),) if there else ())


@pytest.fixture(autouse=True)
def never_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "stop_if_interrupted", lambda: False)


def test_every_picture_of_a_batch_is_judged_alone() -> None:
    output = GoTCheck().check(chain=CHAIN, image=PICTURES, model=Looking(0.9))
    scores, obeyed, reports, checked = output["result"]
    assert scores == [0.0, 0.0, 1.0] and obeyed == [False, False, True]
    assert "not found" in reports[0] and "in place" in reports[2]
    notes = [note["en"] for note in output["ui"]["notes"]]
    assert len(checked) == 3
    assert notes[::2] == ["Picture 1:", "Picture 2:", "Picture 3:"]
    assert notes[5].startswith("In place: 1 of 1")


def test_a_detectors_boxes_take_the_models_place() -> None:
    boxes = [{"x": 0, "y": 0, "width": 32, "height": 32, "label": "circle"}]
    scores, *_ = GoTCheck().check(chain=CHAIN, image=PICTURES[:1], boxes=boxes)["result"]
    assert scores == [1.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "either 'model'"),
        ({"model": Looking(0), "boxes": "[]"}, "either 'model'"),
        ({"boxes": [{"x": 0, "y": 0, "width": 9, "height": 9}]}, "one picture"),
    ],
)
def test_who_looks_has_to_be_clear(given: dict[str, Any], message: str) -> None:
    with pytest.raises(GoTError, match=message):
        GoTCheck().check(chain=CHAIN, image=PICTURES, **given)


def test_the_first_seed_that_obeys_is_picked(monkeypatch: pytest.MonkeyPatch) -> None:
    def sample(_: Any, model: Any, guidance: Any, seed: int, *__: Any, **___: Any) -> dict[str, Any]:
        return {"result": ({"samples": seed}, PICTURES[seed - 7 : seed - 6])}

    monkeypatch.setattr(checking.GoTSampler, "sample", sample)
    guidance = EncodedPlan(None, CHAIN, None, GuidanceScales(1.0, 1.0, 1.0))
    output = GoTPickBest().pick(Looking(0.4), guidance, 3, 7, 0, "euler", -1.0, -1.0, -1.0)
    latent, _, score, seed, report = output["result"]
    assert (latent, score, seed) == ({"samples": 8}, 1.0, 8) and "1 of 1" in report
    assert output["ui"]["notes"][0]["en"] == "Pictures drawn: 2. The best has the seed 8."


def test_an_edit_is_compared_with_its_source() -> None:
    chain = ReasoningChain.parse("A red circle (0,0),(500,500) is removed.", "edit", "remove it")
    output = GoTCheck().check(chain=chain, image=PICTURES, model=Looking(0.9), source=PICTURES[:1])
    scores, obeyed, reports, _ = output["result"]
    assert obeyed == [True, False, False] and scores == [1.0, 0.0, 0.0]
    assert "gone" in reports[0] and "outside the boxes 100.0%" in reports[1] and "still there" in reports[2]
    assert output["ui"]["notes"][1]["en"] == "As planned: 1 of 1 changes. Score 1.00 of 1."
    assert output["ui"]["notes"][5]["en"] == "Outside the boxes 100.0 % of the picture has changed."


def test_sources_are_one_for_all_or_one_for_each_and_of_edits() -> None:
    edit = ReasoningChain.parse("A red circle (0,0),(500,500) is removed.", "edit", "remove it")
    with pytest.raises(GoTError, match="one for each"):
        GoTCheck().check(chain=edit, image=PICTURES, model=Looking(0), source=PICTURES[:2])
    with pytest.raises(GoTError, match="plan is of a generated picture"):
        GoTCheck().check(chain=CHAIN, image=PICTURES, model=Looking(0), source=PICTURES)


def test_a_detector_that_cannot_tell_two_things_apart_is_said_to() -> None:
    chain = ReasoningChain.parse(
        "A red circle (0,0),(500,500) beside a blue circle (500,500),(999,999).", "generate", "two circles"
    )
    boxes = [{"x": x, "y": x, "width": 32, "height": 32, "label": "circle"} for x in (0, 32)]
    output = GoTCheck().check(chain=chain, image=PICTURES[:1], boxes=boxes)
    assert output["result"][1] == [False]
    assert "A red circle and a blue circle" in output["ui"]["notes"][1]["en"]


def test_one_picture_is_looked_at_again_and_of_a_generated_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"turns": 1, "seed": 0, "steps": 1, "scheduler": "euler"}
    scales = {"semantic_scale": -1.0, "spatial_scale": -1.0, "reference_scale": -1.0}
    with pytest.raises(GoTError, match="holds 3 pictures"):
        GoTLookAgain().look_again(Looking(0), CHAIN, PICTURES, **settings, **scales)
