"""Every workflow of the template browser, opened and run in ComfyUI's own frontend.

The training workflow trains for a few steps only, unless GOT_TRAIN_IN_FULL=1 says otherwise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest
import yaml
from got_pack.nodes._folders import BUNDLED_NAME
from PIL import Image

from got_models.chain import Box, ReasoningChain
from got_models.shapes.scoring import Expected, drawn_in_box, expected_objects
from got_models.training.lora_config import as_dictionary, differences, read_config

from .browser import Frontend
from .conftest import Checkpoint
from .place import ROOT, skip_loudly
from .server import Run

NAMES = sorted(file.stem for file in (ROOT / "workflows").glob("*.json"))
TITLE_HEIGHT = 30
SAVED = ("id", "type", "pos", "size", "mode", "widgets_values")
TRAIN, TRAIN_IN_FULL = "got_train_lora", os.environ.get("GOT_TRAIN_IN_FULL") == "1"
SHORT_TRAINING = {
    "steps": 1,
    "batch_rows": 1,
    "validation_rows": 1,
    "validate_every_steps": 1,
}
SHORT_SETTINGS = {"validation_steps": 1, "preserved_rows": 1}
UNLIKE_THE_LESSON = {
    *("checkpoint", "dataset", "out", "cache"),
    *("validation_rows", "validate_every_steps", "validation_steps"),
}
LESSON = ROOT / "lessons" / "brown_crosses" / "train.yaml"

CIRCLE: Expected = ("red", "circle", Box(62, 62, 438, 438))
BLUE_SQUARE: Expected = ("blue", "square", Box(562, 562, 938, 938))
YELLOW_SQUARE: Expected = ("yellow", "square", BLUE_SQUARE[2])
# What has to be where, besides the objects of the plan that a file carries where an entry ends in PLAN.
PLAN: Expected = ("", "", Box(0, 0, 999, 999))
SHOWN: dict[str, dict[str, list[Expected]]] = {
    "got_text_to_image": {"The picture": [PLAN]},
    "got_native_sampler_with_lora": {"The picture": [PLAN]},
    TRAIN: {"The picture": [PLAN]},
    "got_edit_the_chain_by_hand": {"Before": [PLAN], "After": [CIRCLE, BLUE_SQUARE]},
    "got_edit_an_image": {
        "The picture to edit": [CIRCLE, BLUE_SQUARE],
        "The edited picture": [CIRCLE, YELLOW_SQUARE],
    },
    "got_multi_turn_edit": {
        "The picture to edit": [CIRCLE, BLUE_SQUARE],
        "After the first edit": [CIRCLE, YELLOW_SQUARE],
        "After the second edit": [CIRCLE, YELLOW_SQUARE, PLAN],
    },
}


@dataclass(frozen=True)
class Outcome:
    """A workflow after its run in a frontend."""

    name: str
    workflow: dict[str, Any]
    complaints: list[str]
    saved: dict[str, Any]
    run: Run
    pictures: dict[str, Image.Image]  # by the title of the node that shows them


def read_file(name: str, checkpoint: str = BUNDLED_NAME) -> dict[str, Any]:
    """A workflow, with this checkpoint in its loaders."""
    text = (ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8")
    workflow: dict[str, Any] = json.loads(text.replace(BUNDLED_NAME, checkpoint))
    return workflow


def widgets(node: dict[str, Any]) -> dict[str, Any]:
    names = [entry["name"] for entry in node["inputs"] if "widget" in entry]
    return dict(zip(names, node["widgets_values"], strict=True))


def read(name: str, checkpoint: str = BUNDLED_NAME) -> dict[str, Any]:
    """The same with a short training, and with a seed of its own, so that no plan comes from the cache."""
    workflow = read_file(name, checkpoint)
    for node in workflow["nodes"]:
        if node["type"] == "GoTTrain" and not TRAIN_IN_FULL:
            values = {**widgets(node), **SHORT_TRAINING}
            values["settings"] = yaml.safe_dump({**yaml.safe_load(values["settings"]), **SHORT_SETTINGS})
            node["widgets_values"] = list(values.values())
        if node["type"] == "GoTReason":
            node["widgets_values"] = list({**widgets(node), "seed": NAMES.index(name)}.values())
    return workflow


@pytest.fixture(scope="module", params=NAMES)
def outcome(request: pytest.FixtureRequest, frontend: Frontend, checkpoint: Checkpoint) -> Outcome:
    workflow = read(request.param, checkpoint.name)
    complaints = frontend.load(workflow)
    saved = frontend.save()
    run = frontend.run()
    titles = {str(node["id"]): node.get("title", "") for node in workflow["nodes"]}
    pictures = {
        titles[node]: frontend.server.pictures(run, node)[0]
        for node, output in run.outputs.items()
        if "images" in output
    }
    return Outcome(request.param, workflow, complaints, saved, run, pictures)


def carried_chain(picture: Image.Image) -> ReasoningChain:
    return ReasoningChain.from_json(json.loads(picture.info["got_chain"]))


def test_it_opens_without_a_complaint(outcome: Outcome) -> None:
    assert outcome.complaints == []


def test_it_is_what_the_frontend_itself_saves(outcome: Outcome) -> None:
    def essence(workflow: dict[str, Any]) -> list[dict[str, Any]]:
        nodes = sorted(workflow["nodes"], key=lambda node: int(node["id"]))
        # Where a node has no widgets, one frontend saves an empty list and another nothing.
        return [{key: node.get(key) or None for key in SAVED} for node in nodes]

    assert essence(outcome.saved) == essence(outcome.workflow)
    assert outcome.saved["links"] == outcome.workflow["links"]


def test_it_finishes_without_an_error(outcome: Outcome) -> None:
    assert outcome.run.error == ("", "")
    assert outcome.run.succeeded
    assert set(SHOWN[outcome.name]) <= set(outcome.pictures)


def test_every_saved_picture_carries_the_plan_that_it_was_drawn_from(outcome: Outcome) -> None:
    if outcome.name == "got_edit_the_chain_by_hand":
        (editor,) = (node for node in outcome.workflow["nodes"] if node["type"] == "GoTEditChain")
        mine = json.loads(editor["widgets_values"][0])["chain"]["text"]
        assert carried_chain(outcome.pictures["After"]).text == mine
        assert carried_chain(outcome.pictures["Before"]).text != mine
    else:
        *_, last = SHOWN[outcome.name]
        written = outcome.run.outputs[last_reason(outcome)]["text"][0].split("\nWarning: ")[0]
        assert carried_chain(outcome.pictures[last]).text == written


def last_reason(outcome: Outcome) -> str:
    return str(max(node["id"] for node in outcome.workflow["nodes"] if node["type"] == "GoTReason"))


def test_its_pictures_hold_the_objects_in_their_boxes(outcome: Outcome, checkpoint: Checkpoint) -> None:
    if not checkpoint.trained:
        skip_loudly("the bundled checkpoint is missing, and random weights draw nothing")
    if outcome.name == TRAIN and not TRAIN_IN_FULL:
        skip_loudly("what the training workflow teaches takes a quarter of an hour: GOT_TRAIN_IN_FULL=1")
    for title, objects in SHOWN[outcome.name].items():
        picture = outcome.pictures[title]
        expected = [item for item in objects if item != PLAN]
        if PLAN in objects:
            expected += expected_objects(carried_chain(picture))
        assert expected, title
        assert [item for item in expected if not drawn_in_box(picture, *item)] == [], title


def test_the_template_trains_as_the_lesson_does(frontend: Frontend, outcome: Outcome) -> None:
    if outcome.name == TRAIN:
        folder = frontend.server.folder / "output" / "got_training" / "brown crosses"
        trained = as_dictionary(read_config(folder / "config.yaml"))
        (node,) = (node for node in read_file(TRAIN)["nodes"] if node["type"] == "GoTTrain")
        trained |= {name: widgets(node)[name] for name in ("steps", "batch_rows")}
        trained["preserved_rows"] = yaml.safe_load(widgets(node)["settings"])["preserved_rows"]
        changes = differences(as_dictionary(read_config(LESSON)), trained)
        assert [line for line in changes if line.partition(":")[0] not in UNLIKE_THE_LESSON] == []


Rectangle = Sequence[float]


def overlap(one: Rectangle, other: Rectangle) -> bool:
    """Whether two rectangles of left, top, width, height share any area."""
    return all(
        one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2]
        for axis in (0, 1)
    )


def inside(one: Rectangle, other: Rectangle) -> bool:
    return all(
        other[axis] <= one[axis] and one[axis] + one[axis + 2] <= other[axis] + other[axis + 2]
        for axis in (0, 1)
    )


@pytest.mark.parametrize("name", NAMES)
def test_no_node_covers_another_and_each_stands_in_one_group(name: str) -> None:
    workflow = read(name)
    nodes = [
        (*node["pos"][:1], node["pos"][1] - TITLE_HEIGHT, node["size"][0], node["size"][1] + TITLE_HEIGHT)
        for node in workflow["nodes"]
    ]
    groups = [group["bounding"] for group in workflow["groups"]]
    assert not any(overlap(one, other) for one, other in combinations(nodes, 2))
    assert not any(overlap(one, other) for one, other in combinations(groups, 2))
    assert [sum(inside(node, group) for group in groups) for node in nodes] == [1] * len(nodes)
    assert all(group["title"] for group in workflow["groups"])
    assert any(node["type"] == "MarkdownNote" for node in workflow["nodes"])
