"""ComfyUI's own frontend, in a real browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .prompts import Prompt
from .server import Run, Server, accepted

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response

# The page is done only once it has opened its own first workflow, which would replace one that a test opens.
READY = """!!(window.app?.vueAppReady && window.LiteGraph?.registered_node_types.GoTReason
    && app.extensionManager.workflow.activeWorkflow && app.graph.nodes.length)"""
PAGE_LIMIT = 120_000  # milliseconds, also on a busy machine
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

# What a user would see go wrong: a dialog, a red message, a node that the frontend does not know.
COMPLAINTS = """() => [
    ...Array.from(document.querySelectorAll('[role=dialog], .p-toast-message-error'), (box) => box.innerText),
    ...app.graph.nodes.filter((node) => !LiteGraph.registered_node_types[node.type] || node.has_errors)
        .map((node) => `unknown node ${node.type}`),
]"""

# The page brings a workflow into view in the frames after it has opened it.
LOAD = """async ([workflow, template]) => {
    await app.loadGraphData(workflow, true, true, template, template ? { openSource: 'template' } : {});
    for (let frame = 0; frame < 4; frame += 1) await new Promise(requestAnimationFrame);
}"""

# Keeps the id of the run that the page was last told to be over.
WATCH_RUNS = """() => {
    for (const end of ['execution_success', 'execution_error', 'execution_interrupted']) {
        app.api.addEventListener(end, ({ detail }) => { window.finishedRun = detail.prompt_id; });
    }
}"""

# Presses Stop when the progress bar reaches `value`.
STOP_AT = """(value) => {
    const onProgress = ({ detail }) => {
        if (detail.value !== value) return;
        app.api.removeEventListener('progress', onProgress);
        app.api.interrupt();
    };
    app.api.addEventListener('progress', onProgress);
}"""

# Lets the page believe that it has queued what is open, under a given id.
PRETEND = """async (identity) => {
    const { fetchApi } = app.api;
    app.api.fetchApi = async (route, options) => route === '/prompt'
        ? Response.json({ prompt_id: identity, number: 1, node_errors: {} })
        : fetchApi.call(app.api, route, options);
    await app.queuePrompt(0);
    app.api.fetchApi = fetchApi;
}"""


def is_answer_to_prompt(response: Response) -> bool:
    return response.request.method == "POST" and response.url.endswith("/prompt")


class Frontend:
    """A page of the server; `errors` are collected."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(error.message))
        page.set_default_timeout(PAGE_LIMIT)
        page.goto(server.url)
        self._be_ready()

    def _be_ready(self) -> None:
        self.page.wait_for_function(READY)
        self.page.evaluate(WATCH_RUNS)

    def reload(self) -> None:
        """As with F5."""
        self.page.reload()
        self._be_ready()

    def load(self, workflow: dict[str, Any], template: str | None = None) -> list[str]:
        """Open a workflow, optionally as the template with this name -> the errors that are seen at once."""
        self.errors.clear()
        self.page.evaluate(LOAD, [workflow, template])
        return self.complaints()

    def complaints(self) -> list[str]:
        """The errors that the user sees by now."""
        return [*self.page.evaluate(COMPLAINTS), *self.errors]

    def load_prompt(self, prompt: Prompt) -> None:
        """Open a prompt in the API format as a workflow."""
        self.page.evaluate("(prompt) => app.loadApiJson(prompt, 'test')", prompt)

    @property
    def has_nodes_2(self) -> bool:
        """Whether this frontend is new enough for Nodes 2.0; it is only experimental in older ones."""
        minor: int = self.page.evaluate("() => Number(__COMFYUI_FRONTEND_VERSION__.split('.')[1])")
        return minor >= 40

    def save(self) -> dict[str, Any]:
        """The open workflow as the frontend would save it."""
        # As text, which leaves out what is undefined: the frontend would complain of nulls.
        text = self.page.evaluate("() => JSON.stringify(app.graph.serialize())")
        workflow: dict[str, Any] = json.loads(text)
        return workflow

    def run(self) -> Run:
        """Press Run and wait until all messages to the page have arrived."""
        identity = self.queue()
        run = self.server.wait(identity)
        self.page.wait_for_function("(run) => window.finishedRun === run", arg=identity)
        return run

    def queue(self) -> str:
        with self.page.expect_response(is_answer_to_prompt) as response:
            self.page.evaluate("() => app.queuePrompt(0)")
        return accepted(response.value.json())

    def pretend_run(self, identity: str = "told") -> None:
        """A run known only to the page; the test sends the server's messages itself."""
        self.page.evaluate(PRETEND, identity)

    def interrupt_at(self, value: int) -> Run:
        """Press Run, and Stop when the progress bar shows `value`."""
        self.page.evaluate(STOP_AT, value)
        return self.run()
