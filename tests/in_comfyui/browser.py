"""ComfyUI's own frontend, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .prompts import Prompt
from .server import Run, Server, accepted

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response

READY = "!!(window.app?.vueAppReady && window.LiteGraph?.registered_node_types.GoTReason)"
START_LIMIT = 120_000  # milliseconds
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

# What a user would see go wrong: a dialog, a red message, a node that the frontend does not know.
COMPLAINTS = """() => [
    ...Array.from(document.querySelectorAll('[role=dialog], .p-toast-message-error'), (box) => box.innerText),
    ...app.graph.nodes.filter((node) => !LiteGraph.registered_node_types[node.type] || node.has_errors)
        .map((node) => `unknown node ${node.type}`),
]"""

# Presses stop when the progress bar reaches `value`, and keeps all that the bar shows in `window.progress`.
STOP_AT = """(value) => {
    window.progress = [];
    const onProgress = ({ detail }) => {
        window.progress.push(detail.value);
        if (detail.value === value) app.api.interrupt();
    };
    app.api.addEventListener('progress', onProgress);
    window.stopWatching = () => app.api.removeEventListener('progress', onProgress);
}"""


def is_answer_to_prompt(response: Response) -> bool:
    return response.request.method == "POST" and response.url.endswith("/prompt")


class Frontend:
    """A page of the server's, on which `errors` are collected."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(error.message))
        page.goto(server.url)
        page.wait_for_function(READY, timeout=START_LIMIT)

    def load(self, workflow: dict[str, Any]) -> list[str]:
        """Open a workflow -> what the user sees go wrong."""
        self.errors.clear()
        self.page.evaluate("(workflow) => app.loadGraphData(workflow)", workflow)
        self.page.wait_for_timeout(500)  # dialogs fade in
        return [*self.page.evaluate(COMPLAINTS), *self.errors]

    def load_prompt(self, prompt: Prompt) -> None:
        """Open a prompt in the server's form as a workflow."""
        self.page.evaluate("(prompt) => app.loadApiJson(prompt, 'test')", prompt)

    def save(self) -> dict[str, Any]:
        """The open workflow as the frontend would save it."""
        workflow: dict[str, Any] = self.page.evaluate("() => app.graph.serialize()")
        return workflow

    def run(self) -> Run:
        """Press Run and wait."""
        return self.server.wait(self.queue())

    def queue(self) -> str:
        with self.page.expect_response(is_answer_to_prompt) as response:
            self.page.evaluate("() => app.queuePrompt(0)")
        return accepted(response.value.json())

    def interrupt_at(self, value: int) -> tuple[Run, list[int]]:
        """Press Run, and Stop when the progress bar shows `value` -> the run, and what the bar showed."""
        self.page.evaluate(STOP_AT, value)
        run = self.run()
        self.page.wait_for_timeout(500)  # for what is still on its way
        shown: list[int] = self.page.evaluate("() => (stopWatching(), progress)")
        return run, shown
