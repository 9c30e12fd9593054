"""What GoT Train shows in ComfyUI's frontends, in the classic canvas and in Nodes 2.0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .browser import READY, Frontend
from .conftest import OLD, PAGES, Checkpoint
from .test_training import STEPS, training

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

NEWEST_PAGES = {name: page for name, page in PAGES.items() if page[0] != OLD}
VIEWPORT = {"width": 1500, "height": 1100}
ANSWER = 20_000  # milliseconds that the page may take, also on a busy machine
CHAIN, LAYOUT_IOU = "#4a9eff", "#3fbf7f"

HAS_TRAIN = "() => app.graph.nodes.some(({ type }) => type === 'GoTTrain')"
SHOW_TRAIN = """() => {
    app.canvas.ds.scale = 1;
    app.canvas.centerOnNode(app.graph.nodes.find(({ type }) => type === 'GoTTrain'));
}"""
# Keeps every line that says how far the training is.
WATCH = """() => {
    window.said = [];
    const status = document.querySelector('.got-training-status');
    new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });
}"""
# How many pixels of the canvas have just this colour.
COUNT_PIXELS = """(canvas, color) => {
    const wanted = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const starts = Array.from({ length: data.length / 4 }, (_, pixel) => 4 * pixel);
    return starts.filter((at) => wanted.every((value, band) => data[at + band] === value)).length;
}"""
TELL = """(report) => {
    const { id } = app.graph.nodes.find(({ type }) => type === 'GoTTrain');
    app.api.dispatchCustomEvent('got_training', { node: String(id), ...report });
}"""
RENAME = """(name) => {
    const { widgets } = app.graph.nodes.find(({ type }) => type === 'GoTTrain');
    const widget = widgets.find((each) => each.name === 'name');
    widget.value = name;
    widget.callback(name);
}"""
ADD_NODE_AND_UNDO = """async () => {
    app.canvas.emitBeforeChange();
    app.graph.add(LiteGraph.createNode('GoTDataset'));
    app.canvas.emitAfterChange();
    await app.extensionManager.workflow.activeWorkflow.changeTracker.undo();
}"""


def report(step: int, **others: Any) -> dict[str, Any]:
    chain = [[number, 10 / number] for number in range(1, step + 1)]
    diffusion = [[number, 0.1 / number] for number in range(1, step + 1)]
    return {
        "run": "not there",
        "state": "training",
        "step": step,
        "steps": 1000,
        "seconds_per_step": 1.5,
        "curves": {"chain": chain, "diffusion": diffusion, "layout_iou": [[0, 0.2], [step, 0.6]]},
        "samples": None,
        **others,
    }


class PlotPage:
    """A page that shows one GoT Train at a scale of 1."""

    def __init__(self, frontend: Frontend) -> None:
        self.frontend = frontend
        self.page = frontend.page
        self.page.set_default_timeout(ANSWER)

    def open(self, checkpoint: str, name: str, **inputs: Any) -> None:
        self.frontend.load_prompt(training(checkpoint, name, **inputs))
        self.page.evaluate(SHOW_TRAIN)
        self.root.wait_for()

    @property
    def root(self) -> Locator:
        return self.page.get_by_test_id("got-training-plot").first

    def status(self) -> str:
        return self.root.locator(".got-training-status").inner_text()

    def pixels(self, color: str) -> int:
        count: int = self.root.locator("canvas").evaluate(COUNT_PIXELS, color)
        return count


@pytest.fixture(scope="module", params=NEWEST_PAGES.values(), ids=NEWEST_PAGES)
def plot(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[PlotPage]:
    frontend, nodes_2 = request.param
    server = request.getfixturevalue(frontend)
    server.post("/settings/Comfy.VueNodes.Enabled", nodes_2)
    page = chromium.new_page(viewport=VIEWPORT)
    yield PlotPage(Frontend(page, server))
    page.close()
    server.post("/settings/Comfy.VueNodes.Enabled", False)


def test_it_grows_while_the_model_learns_and_is_there_after_a_reload(
    plot: PlotPage, checkpoint: Checkpoint, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id.replace(",", "")
    settings = "gradient_checkpointing: false\nvalidation_steps: 1"
    plot.open(checkpoint.name, name, validation_rows=1, validate_every_steps=STEPS, settings=settings)
    assert "appear here" in plot.status()
    plot.page.evaluate(WATCH)
    run = plot.frontend.run()
    assert run.succeeded, run.error
    plot.page.wait_for_function(
        "() => document.querySelector('.got-training-status').textContent.startsWith('done')"
    )
    said = plot.page.evaluate("() => said")
    assert any("pictures" in line for line in said), said
    assert any(line.startswith("step ") and line.endswith(" left") for line in said), said
    assert plot.pixels(CHAIN) > 20
    assert plot.pixels(LAYOUT_IOU) > 20
    plot.root.locator("img").wait_for()
    place, samples = plot.root.bounding_box(), plot.root.locator("img").bounding_box()
    assert place
    assert samples
    assert place["height"] < VIEWPORT["height"] * 2 / 3
    assert samples["y"] + samples["height"] <= place["y"] + place["height"]

    plot.page.reload()
    plot.page.wait_for_function(READY)
    plot.page.wait_for_function(HAS_TRAIN)  # some frontends open the workflow after they are ready
    plot.page.evaluate(SHOW_TRAIN)
    plot.root.locator("img").wait_for()
    assert plot.status() == f"done · {STEPS} steps"
    assert plot.pixels(CHAIN) > 20


def test_it_says_how_far_the_training_is_and_how_long_it_takes(
    plot: PlotPage, checkpoint: Checkpoint
) -> None:
    plot.open(checkpoint.name, "not there")
    plot.page.evaluate(TELL, report(200))
    assert plot.status() == "step 200 of 1000 · 1.5 s per step · 20 min left"
    before = plot.pixels(CHAIN)
    plot.page.evaluate(TELL, report(900, seconds_per_step=0.03))
    assert plot.status() == "step 900 of 1000 · 30 ms per step · 3 s left"
    assert plot.pixels(CHAIN) > before, "the curve reaches further to the right"
    assert "layout IoU 0.600" in plot.root.inner_text()
    place, canvas = plot.root.bounding_box(), plot.root.locator("canvas").bounding_box()
    assert place
    assert canvas
    assert canvas["height"] > 100
    assert canvas["y"] + canvas["height"] <= place["y"] + place["height"]


def test_it_belongs_to_the_training_that_the_name_says(plot: PlotPage, checkpoint: Checkpoint) -> None:
    plot.open(checkpoint.name, "not there")
    plot.page.evaluate(TELL, report(10))
    plot.page.evaluate(RENAME, "nor there")
    plot.page.wait_for_function(
        "() => document.querySelector('.got-training-status').textContent.includes('appear')"
    )
    assert plot.root.locator("canvas").is_hidden()


def test_undo_which_makes_the_node_anew_leaves_it_in_place(plot: PlotPage, checkpoint: Checkpoint) -> None:
    plot.open(checkpoint.name, "not there")
    plot.page.evaluate(ADD_NODE_AND_UNDO)
    plot.page.evaluate(SHOW_TRAIN)
    plot.root.wait_for()
    plot.page.evaluate(TELL, report(10))
    assert plot.status().startswith("step 10 of 1000")
    assert plot.pixels(CHAIN) > 0


def test_what_a_file_says_is_shown_as_text(plot: PlotPage, checkpoint: Checkpoint) -> None:
    plot.open(checkpoint.name, "not there")
    plot.page.evaluate(TELL, report(10, state="<img src=x onerror='pwned=1'>"))
    assert "<img" in plot.status()
    assert not plot.page.evaluate("() => window.pwned")
