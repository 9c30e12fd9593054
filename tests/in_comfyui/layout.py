"""The layout of a workflow as rendered: nodes, links, the window and texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .browser import Frontend

WINDOW = {"width": 1600, "height": 1000}
PATIENCE = 40

MEASURE = Path(__file__).with_name("measure.js").read_text(encoding="utf-8")
# Until nodes stay as they are for a tenth of a second: the page sets them right after it has drawn them once.
STILL = """async () => {
    const places = () => JSON.stringify([
        app.graph.nodes.map(({ pos, size }) => [...pos, ...size]),
        ...Array.from(document.querySelectorAll('[data-node-id] *'), ({ offsetWidth }) => offsetWidth),
    ]);
    for (let before, now = places(), tries = 30; before !== now && tries; tries -= 1) {
        await new Promise((done) => setTimeout(done, 100));
        [before, now] = [now, places()];
    }
}"""


@dataclass(frozen=True)
class Layout:
    """The output of `measure.js` for the open workflow; rectangles in the graph's coordinates."""

    nodes: list[dict[str, Any]]
    hidden: list[str]
    texts: list[tuple[str, float]]
    cut: list[str]
    links: int
    behind: list[str]
    backwards: list[str]
    contrasts: list[float]
    scale: float

    @property
    def filled(self) -> float:
        """The nodes' share of their common bounding box."""
        left, top = (min(node[axis] for node in self.nodes) for axis in "xy")
        right = max(node["x"] + node["width"] for node in self.nodes)
        bottom = max(node["y"] + node["height"] for node in self.nodes)
        area: float = sum(node["width"] * node["height"] for node in self.nodes)
        return area / ((right - left) * (bottom - top))


def measure(page: Page, patience: int = 1) -> Layout:
    """The current layout; with patience, once no message of the page covers a node."""
    for _ in range(patience):
        page.evaluate(STILL)
        layout = Layout(**page.evaluate(MEASURE))
        if not layout.hidden:
            break
    return layout


@contextmanager
def nodes_2(frontend: Frontend) -> Iterator[None]:
    """Context in which Nodes 2.0 is enabled."""
    switch = "(on) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)"
    frontend.page.evaluate(switch, True)
    yield
    frontend.page.evaluate(switch, False)
