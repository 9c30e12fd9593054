"""Every workflow of the template browser, opened and run in ComfyUI's own frontend.

The training workflow trains for a few steps only, unless GOT_TRAIN_IN_FULL=1 says otherwise.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest
import yaml
from got_pack.nodes._comfy.folders import BUNDLED_NAME
from PIL import Image

from got_models.chain.chain import Box, ReasoningChain
from got_models.training.config import as_dictionary, differences, read_config
from tiny_model.world.scoring import Expected, drawn_in_box, expected_objects

from .browser import Frontend
from .conftest import SERVED, Checkpoint
from .layout import PATIENCE, WINDOW, Layout, measure, nodes_2
from .place import ROOT, skip_loudly
from .server import Run

NAMES = sorted(file.stem for file in (ROOT / "workflows").glob("*.json"))
MIN_TEXT = 7.0  # pixels on the screen, where LiteGraph's own text is 12 high and notes are 10
LEAST_CONTRAST = 4.5  # WCAG's for text
LEAST_FILLED = 0.4  # of the rectangle around all nodes
OPENED, AFTER_RUN = "as it opens", "after its run"
NODES_2, NODES_2_AFTER_RUN = "as it opens in Nodes 2.0", "after its run in Nodes 2.0"
FEW_STEPS = 2
SAVED = ("id", "type", "pos", "size", "mode", "widgets_values")
TRAIN, BY_HAND, TRAIN_IN_FULL = "7 Train a LoRA", "3 Move a box", os.environ.get("GOT_TRAIN_IN_FULL") == "1"
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

TOP_LEFT, BOTTOM_RIGHT = Box(62, 62, 438, 438), Box(562, 562, 938, 938)
CIRCLE: Expected = ("red", "circle", TOP_LEFT)
RED_SQUARE: Expected = ("red", "square", TOP_LEFT)
BLUE_SQUARE: Expected = ("blue", "square", BOTTOM_RIGHT)
YELLOW_SQUARE: Expected = ("yellow", "square", BOTTOM_RIGHT)
YELLOW_CIRCLE: Expected = ("yellow", "circle", Box(656, 156, 844, 344))
# What has to be where, besides the objects of the plan that a file carries where an entry ends in PLAN.
PLAN: Expected = ("", "", Box(0, 0, 999, 999))
SHOWN: dict[str, dict[str, list[Expected]]] = {
    "1 Text to image": {"The picture": [PLAN]},
    "2 Edit a picture": {"Before": [RED_SQUARE, BLUE_SQUARE], "After": [RED_SQUARE, YELLOW_SQUARE]},
    BY_HAND: {"The picture": [CIRCLE, BLUE_SQUARE]},
    "4 Lock boxes and plan the rest anew": {"The picture": [PLAN]},
    "5 Several edits in a row": {
        "The picture to edit": [RED_SQUARE, BLUE_SQUARE],
        "After the first edit": [RED_SQUARE, YELLOW_SQUARE],
        "After the second edit": [RED_SQUARE, YELLOW_SQUARE, PLAN],
    },
    "6 KSampler and LoRA": {"The picture": [PLAN]},
    TRAIN: {"The picture": [PLAN]},
    "8 Plan with a language model": {"The picture": [CIRCLE, BLUE_SQUARE]},
    "9 A plan for SDXL": {},  # without a checkpoint it shows the plan alone
    "10 A plan for Ideogram, Krea and HiDream": {},
    "11 Boxes found in a picture": {
        "Before": [RED_SQUARE, BLUE_SQUARE],
        "After": [RED_SQUARE, YELLOW_SQUARE],
    },
    "12 Look again": {"After": [RED_SQUARE, YELLOW_CIRCLE, BLUE_SQUARE]},
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
    layouts: dict[str, Layout]  # as it opens and after the run, on the canvas and in Nodes 2.0
    drawn_in_full: bool


def read_file(name: str, checkpoint: str = BUNDLED_NAME) -> dict[str, Any]:
    """A workflow, with this checkpoint in its loaders."""
    text = (ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8")
    workflow: dict[str, Any] = json.loads(text.replace(BUNDLED_NAME, checkpoint))
    return workflow


def kinds(name: str) -> set[str]:
    return {node["type"] for node in read_file(name)["nodes"]}


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


def draw_little(workflow: dict[str, Any]) -> None:
    """Few steps: what the pictures show is proved in one frontend."""
    inside = [node for graph in workflow["definitions"]["subgraphs"] for node in graph["nodes"]]
    for node in [*workflow["nodes"], *inside]:
        if node["type"] in ("GoTSampler", "KSampler"):
            node["widgets_values"][2] = FEW_STEPS  # after the seed and what happens to it


@pytest.fixture(scope="module", params=NAMES)
def outcome(request: pytest.FixtureRequest, frontend: Frontend, checkpoint: Checkpoint) -> Outcome:
    workflow = read(request.param, checkpoint.name)
    drawn_in_full = frontend.server is request.getfixturevalue(SERVED)
    if not drawn_in_full:
        draw_little(workflow)
    before = frontend.page.viewport_size
    frontend.page.set_viewport_size(WINDOW)
    layouts = {}
    if frontend.has_nodes_2:
        with nodes_2(frontend):
            frontend.load(workflow, request.param)
            layouts[NODES_2] = measure(frontend.page, PATIENCE)
    frontend.load(workflow, request.param)
    layouts[OPENED] = measure(frontend.page, PATIENCE)
    saved, complaints = frontend.save(), frontend.complaints()
    run = frontend.run()
    layouts[AFTER_RUN] = measure(frontend.page)
    complaints += frontend.complaints()  # dialogs may fade in late
    if frontend.has_nodes_2:
        with nodes_2(frontend):
            layouts[NODES_2_AFTER_RUN] = measure(frontend.page)
    frontend.page.set_viewport_size(before)
    titles = {str(node["id"]): node.get("title", "") for node in workflow["nodes"]}
    pictures = {
        titles[node]: frontend.server.pictures(run, node)[0]
        for node, output in run.outputs.items()
        if "images" in output
    }
    return Outcome(request.param, workflow, complaints, saved, run, pictures, layouts, drawn_in_full)


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
    if not SHOWN[outcome.name]:
        return
    *_, last = SHOWN[outcome.name]
    planner = "GoTReason" if holds(outcome, "GoTReason") else "GoTEditChain"
    written = outcome.run.outputs[last_of(outcome, planner)]["text"][0].split("\nWarning: ")[0]
    if outcome.name == BY_HAND:
        (editor,) = (node for node in outcome.workflow["nodes"] if node["type"] == "GoTEditChain")
        mine = json.loads(editor["widgets_values"][0])["chain"]["text"]
        assert mine != written
        written = mine
    assert carried_chain(outcome.pictures[last]).text == written


def holds(outcome: Outcome, kind: str) -> bool:
    return any(node["type"] == kind for node in outcome.workflow["nodes"])


def last_of(outcome: Outcome, kind: str) -> str:
    return str(max(node["id"] for node in outcome.workflow["nodes"] if node["type"] == kind))


def test_its_pictures_hold_the_objects_in_their_boxes(outcome: Outcome, checkpoint: Checkpoint) -> None:
    if not checkpoint.trained:
        skip_loudly("the bundled checkpoint is missing, and random weights draw nothing")
    if outcome.name == TRAIN and not TRAIN_IN_FULL:
        skip_loudly("what the training workflow teaches takes a quarter of an hour: GOT_TRAIN_IN_FULL=1")
    for title, objects in SHOWN[outcome.name].items() if outcome.drawn_in_full else ():
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


def test_all_of_it_lies_in_the_window_with_nothing_over_it(outcome: Outcome) -> None:
    for when in outcome.layouts.keys() & {OPENED, NODES_2}:  # after a run a message may pop up
        assert outcome.layouts[when].hidden == [], when


def test_its_texts_are_whole_and_can_be_read(outcome: Outcome) -> None:
    scrolled = [widgets(node)["settings"] for node in outcome.workflow["nodes"] if node["type"] == "GoTTrain"]
    scrolled += [output["text"][0] for output in outcome.run.outputs.values() if "text" in output]  # plans
    for when, layout in outcome.layouts.items():
        cut = [text for text in layout.cut if not any(long.startswith(text) for long in scrolled)]
        assert cut == [], when
        assert min(size for _, size in layout.texts) >= MIN_TEXT, when
        assert all(contrast >= LEAST_CONTRAST for contrast in layout.contrasts), when


def test_a_widget_shows_what_its_value_stands_for(outcome: Outcome) -> None:
    for when, layout in outcome.layouts.items() if holds(outcome, "GoTReason") else ():
        assert "temperature = 0" in [text for text, _ in layout.texts], when


def test_it_reads_from_left_to_right_and_no_link_is_behind_a_node(outcome: Outcome) -> None:
    for when, layout in outcome.layouts.items():
        assert layout.links == len(outcome.workflow["links"]), when
        assert layout.backwards == [], when
        assert layout.behind == [], when


def test_no_node_covers_another_and_little_room_is_empty(outcome: Outcome) -> None:
    for when, layout in outcome.layouts.items():
        pairs = combinations(layout.nodes, 2)
        assert [(one["name"], other["name"]) for one, other in pairs if overlap(one, other)] == [], when
        assert layout.filled >= LEAST_FILLED, when


def test_each_node_stands_in_one_group(outcome: Outcome) -> None:
    sides = ("x", "y", "width", "height")
    groups = [dict(zip(sides, group["bounding"], strict=True)) for group in outcome.workflow["groups"]]
    for when, layout in outcome.layouts.items():
        strays = [node["name"] for node in layout.nodes if sum(inside(node, group) for group in groups) != 1]
        assert strays == [], when


@pytest.mark.parametrize("name", [name for name in NAMES if "GoTModelLoader" in kinds(name)])
def test_a_note_says_how_to_change_to_the_large_model(name: str) -> None:
    notes = [node for node in read(name)["nodes"] if node["type"] == "MarkdownNote"]
    text = "".join(note["widgets_values"][0] for note in notes)
    assert [
        word for word in ("GoT-6B", "GoT Import Checkpoint", "GoT Model Loader") if word not in text
    ] == []


Rectangle = dict[str, Any]


def overlap(one: Rectangle, other: Rectangle) -> bool:
    return all(
        one[start] < other[start] + other[length] and other[start] < one[start] + one[length]
        for start, length in (("x", "width"), ("y", "height"))
    )


def inside(one: Rectangle, other: Rectangle) -> bool:
    return all(
        other[start] <= one[start] and one[start] + one[length] <= other[start] + other[length]
        for start, length in (("x", "width"), ("y", "height"))
    )
