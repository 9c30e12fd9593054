"""A ComfyUI page with one chain editor, for the editor's tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from got_models.chain.chain import MAX_REGIONS, Box, ReasoningChain

from .browser import Frontend

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from .server import Server

PLAN = (
    "On a white background there is a large red circle (120,312),(496,688) to the left of "
    "a blue square (560,400),(900,740)."
)
SQUARE = "560,400,900,740"
VIEWPORT = {"width": 1500, "height": 1000}
ANSWER = 20_000  # milliseconds that the page may take, also on a busy machine

UNDO_GRAPH = "() => app.extensionManager.workflow.activeWorkflow.changeTracker.undo()"
EDITOR_VALUE = """() => app.graph.nodes.find(({ type }) => type === 'GoTEditChain').widgets
    .find(({ name }) => name === 'edited_chain').value"""
GRAPH_HISTORY = """() => {
    const { undoQueue, redoQueue } = app.extensionManager.workflow.activeWorkflow.changeTracker;
    return [undoQueue.length, redoQueue.length];
}"""
SET_PLAN = """(text) => { app.graph.nodes.find(({ type }) => type === 'GoTChainFromText').widgets
    .find(({ name }) => name === 'text').value = text; }"""
STREAM = """([text, done]) => {
    app.api.dispatchCustomEvent('got_text', { prompt_id: 'told', node: '1', text });
    if (done) app.api.dispatchCustomEvent('execution_interrupted', { prompt_id: 'told' });
}"""


@contextmanager
def editor_page(server: Server, chromium: Browser, nodes_2: bool) -> Iterator[EditorPage]:
    """A page with the classic canvas or with Nodes 2.0, which ComfyUI asks for when it is opened."""
    server.post("/settings/Comfy.VueNodes.Enabled", nodes_2)
    page = chromium.new_page(viewport=VIEWPORT)
    yield EditorPage(Frontend(page, server))
    page.close()
    server.post("/settings/Comfy.VueNodes.Enabled", False)


class EditorPage:
    """A page with one editor at a scale of 1."""

    def __init__(self, frontend: Frontend) -> None:
        self.frontend = frontend
        self.page = frontend.page
        self.page.set_default_timeout(ANSWER)

    def open(self, plan: str = PLAN, edited: str = "") -> None:
        assert self.frontend.load(workflow(plan, edited)) == []
        self.page.evaluate("() => { app.canvas.ds.scale = 1; app.canvas.ds.offset = [0, 0]; }")
        self.root.wait_for()

    def open_and_run(self, plan: str = PLAN, edited: str = "") -> None:
        self.open(plan, edited)
        assert self.run()
        self.boxes.first.wait_for()

    def run(self) -> list[dict[str, Any]]:
        """Press Run -> the regions in the editor node's output."""
        run = self.frontend.run()
        assert run.succeeded, run.error
        regions: list[dict[str, Any]] = run.outputs["2"]["chain"][0]["regions"]
        return regions

    @property
    def root(self) -> Locator:
        return self.page.get_by_test_id("got-chain-editor").first

    @property
    def boxes(self) -> Locator:
        return self.root.get_by_test_id("got-box")

    @property
    def text(self) -> Locator:
        return self.root.get_by_test_id("got-chain-text")

    def box(self, phrase: str) -> Locator:
        return self.root.locator(f'[data-testid=got-box][data-phrase="{phrase}"]')

    def shown(self) -> dict[str, str]:
        boxes: dict[str, str] = self.boxes.evaluate_all(
            "(boxes) => Object.fromEntries(boxes.map(({ dataset }) => [dataset.phrase, dataset.box]))"
        )
        return boxes

    def drag(
        self, target: Locator, right: float, down: float, grip: tuple[float, float] = (0.5, 0.5)
    ) -> None:
        """Drag by fractions of the picture's width and height, without snapping."""
        place, canvas = target.bounding_box(), self.root.locator(".got-canvas").bounding_box()
        assert place and canvas
        x, y = place["x"] + grip[0] * place["width"], place["y"] + grip[1] * place["height"]
        self.page.keyboard.down("Alt")
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + right * canvas["width"], y + down * canvas["height"], steps=4)
        self.page.mouse.up()
        self.page.keyboard.up("Alt")


def boxes_by_phrase(regions: list[dict[str, Any]]) -> dict[str, str]:
    """The regions of a chain's JSON as `EditorPage.shown` gives them."""
    return {region["phrase"]: ",".join(map(str, region["box"])) for region in regions}


def full_plan() -> str:
    """The maximum number of boxes in a plan, in rows, called a shape 0, a shape 1 and so on."""
    chain = ReasoningChain.parse("", "generate", "")
    for index in range(MAX_REGIONS):
        x, y = 120 * (index % 8), 120 * (index // 8)
        chain = chain.add(f"a shape {index}", Box(x, y, x + 100, y + 100))
    return chain.text


def workflow(plan: str, edited: str) -> dict[str, Any]:
    return {
        "last_node_id": 2,
        "last_link_id": 1,
        "nodes": [
            {
                "id": 1,
                "type": "GoTChainFromText",
                "pos": [80, 120],
                "size": [380, 320],
                "flags": {},
                "order": 0,
                "mode": 0,
                "properties": {},
                "outputs": [{"name": "chain", "type": "GOT_CHAIN", "links": [1]}],
                "widgets_values": ["generate", "shapes", plan],
            },
            {
                "id": 2,
                "type": "GoTEditChain",
                "pos": [500, 120],
                "size": [470, 760],
                "flags": {},
                "order": 1,
                "mode": 0,
                "properties": {},
                "inputs": [{"name": "chain", "type": "GOT_CHAIN", "link": 1}],
                "outputs": [
                    {"name": name, "type": kind, "links": []}
                    for name, kind in [
                        ("chain", "GOT_CHAIN"),
                        ("text", "STRING"),
                        ("layout", "IMAGE"),
                        ("locked", "GOT_CHAIN"),
                    ]
                ],
                "widgets_values": [edited, "keep mine"],
            },
        ],
        "links": [[1, 1, 0, 2, 0, "GOT_CHAIN"]],
        "groups": [],
        "config": {},
        "extra": {},
        "version": 0.4,
    }
