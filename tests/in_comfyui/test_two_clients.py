"""A run belongs to the workflow that has queued it: to no other window, to no other tab, not to its copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .browser import Frontend
from .conftest import PAGES, Checkpoint
from .editor_page import EDITOR_VALUE, GRAPH_HISTORY, PLAN, SET_PLAN, EditorPage, workflow
from .prompts import everything, reasoning
from .test_training_plot import ADD_NODE_AND_UNDO

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TEMPLATE = "0b1f3d2e-5a6c-4d7e-8f90-a1b2c3d4e5f6"  # a graph's id, which all tabs opened from the file share
OTHER = "A green star (10,20),(300,400)."
NO_PLAN = "The plan appears here."
OF_PLAN = {"a large red circle": "120,312,496,688", "a blue square": "560,400,900,740"}
OF_OTHER = {"A green star": "10,20,300,400"}

COMMAND = "(command) => app.extensionManager.command.execute(command)"
NEXT_TAB = "Workspace.NextOpenedWorkflow"
HEAR = """() => {
    window.heard = [];
    for (const event of ['got_text', 'got_training', 'progress_text', 'executed']) {
        app.api.addEventListener(event, ({ detail }) => heard.push([event, detail]));
    }
}"""
TELL = "([event, detail]) => app.api.dispatchCustomEvent(event, detail)"
# Holds back the answer to a request for a run until all that the run tells has come.
ANSWER_LATE = """() => {
    const { fetchApi } = app.api;
    app.api.fetchApi = async (route, options) => {
        const over = route === '/prompt' && new Promise((done) => {
            app.api.addEventListener('execution_success', () => setTimeout(done), { once: true });
        });
        const answer = await fetchApi.call(app.api, route, options);
        if (over) {
            app.api.fetchApi = fetchApi;
            await over;
        }
        return answer;
    };
}"""
NOTICE_CHANGES = "() => { app.canvas.emitBeforeChange(); app.canvas.emitAfterChange(); }"
SAVER = "() => String(app.graph.nodes.find(({ type }) => type === 'SaveImage').id)"
BACKGROUND = "() => document.querySelector('.got-canvas img').getAttribute('src') ?? ''"


@pytest.fixture(scope="module", params=PAGES.values(), ids=PAGES)
def windows(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[tuple[EditorPage, EditorPage]]:
    """Two windows with the same frontend: two clients of one server."""
    fixture, nodes_2 = request.param
    server = request.getfixturevalue(fixture)
    server.post("/settings/Comfy.VueNodes.Enabled", nodes_2)
    contexts = [chromium.new_context(viewport={"width": 1500, "height": 1000}) for _ in range(2)]
    first, second = (EditorPage(Frontend(context.new_page(), server)) for context in contexts)
    yield first, second
    for context in contexts:
        context.close()
    server.post("/settings/Comfy.VueNodes.Enabled", False)


@pytest.fixture
def editor(windows: tuple[EditorPage, EditorPage]) -> EditorPage:
    return windows[0]


def turn_to_next_tab(editor: EditorPage, times: int = 1) -> None:
    for _ in range(times):
        editor.page.evaluate(COMMAND, NEXT_TAB)
    editor.page.evaluate("() => { app.canvas.ds.scale = 1; app.canvas.ds.offset = [0, 0]; }")
    editor.root.wait_for()
    editor.page.wait_for_timeout(100)  # for what must not come


def open_tabs(editor: EditorPage, *plans: str) -> int:
    """One tab for each plan, from one template -> how often to turn from the last to the first of them."""
    for plan in plans:
        editor.frontend.load({**workflow(PLAN, ""), "id": TEMPLATE})
        editor.root.wait_for()
        editor.page.evaluate(SET_PLAN, plan)
    count: int = editor.page.evaluate("() => app.extensionManager.workflow.openWorkflows.length")
    return count - len(plans) + 1


def test_another_window_hears_and_shows_nothing(
    windows: tuple[EditorPage, EditorPage], checkpoint: Checkpoint
) -> None:
    first, second = windows
    for window in windows:
        window.open()
        window.page.evaluate(HEAR)
    assert first.run()
    first.frontend.load_prompt(reasoning(checkpoint.name, f"a star for {first.frontend.server.url}"))
    assert first.frontend.run().succeeded
    events = [event for event, _ in first.page.evaluate("() => heard")]
    assert events.count("got_text") > 2
    assert second.page.evaluate("() => heard") == []
    assert second.shown() == {}
    assert second.run()
    assert second.shown() == OF_PLAN


def test_each_tab_from_one_template_has_its_own_plan(editor: EditorPage) -> None:
    to_first = open_tabs(editor, PLAN, OTHER)
    assert editor.shown() == {}
    assert editor.run()
    assert editor.shown() == OF_OTHER
    turn_to_next_tab(editor, to_first)
    assert editor.shown() == {}, "it has not run yet"
    editor.root.focus()
    editor.page.keyboard.press("ArrowLeft")
    assert editor.page.evaluate(EDITOR_VALUE) == ""
    assert editor.run()
    assert editor.shown() == OF_PLAN
    turn_to_next_tab(editor)
    assert editor.shown() == OF_OTHER


def test_runs_that_end_while_another_tab_is_open_are_found_in_their_own(editor: EditorPage) -> None:
    to_first = open_tabs(editor, PLAN, OTHER)
    second = editor.frontend.queue()
    turn_to_next_tab(editor, to_first)
    first = editor.frontend.queue()
    turn_to_next_tab(editor)
    for run in (second, first):
        assert editor.frontend.server.wait(run).succeeded
    editor.page.wait_for_function("(run) => window.finishedRun === run", arg=first)
    assert editor.shown() == OF_OTHER
    turn_to_next_tab(editor, to_first)
    assert editor.shown() == OF_PLAN


def test_a_tab_turned_to_while_a_plan_is_written_does_not_show_it(editor: EditorPage) -> None:
    to_first = open_tabs(editor, PLAN, OTHER)
    editor.frontend.pretend_run("of the second")
    turn_to_next_tab(editor, to_first)
    text = {"prompt_id": "of the second", "node": "1", "text": "a star (1,2),(300,400)"}
    editor.page.evaluate(TELL, ["got_text", text])
    assert editor.shown() == {}
    turn_to_next_tab(editor)
    assert editor.shown() == {"a star": "1,2,300,400"}
    editor.page.evaluate(TELL, ["execution_interrupted", {"prompt_id": "of the second"}])
    assert editor.shown() == {}


def test_a_plan_that_a_lost_server_was_writing_does_not_come_back_with_undo(editor: EditorPage) -> None:
    editor.open()
    editor.frontend.pretend_run("lost")
    text = {"prompt_id": "lost", "node": "1", "text": "a star (1,2),(300,400)"}
    editor.page.evaluate(TELL, ["got_text", text])
    assert editor.shown() == {"a star": "1,2,300,400"}
    editor.page.evaluate(TELL, ["reconnecting", None])
    editor.page.evaluate(TELL, ["reconnected", None])
    assert editor.shown() == {}
    editor.page.evaluate(ADD_NODE_AND_UNDO)
    editor.page.wait_for_timeout(300)
    assert editor.shown() == {}


def test_a_copy_of_a_tab_shows_nothing_before_it_has_run(editor: EditorPage) -> None:
    editor.open_and_run()
    editor.page.evaluate(COMMAND, "Comfy.DuplicateWorkflow")
    editor.page.wait_for_timeout(500)
    assert editor.shown() == {}
    assert editor.run()
    assert editor.shown() == OF_PLAN


def test_what_no_tab_has_queued_is_not_taken(editor: EditorPage) -> None:
    editor.open_and_run()
    chain = {"version": 1, "task": "generate", "prompt": "foreign", "text": "", "regions": []}
    told: list[tuple[str, dict[str, Any]]] = [
        ("executed", {"prompt_id": "foreign", "node": "2", "output": {"upstream_chain": [chain]}}),
        ("got_text", {"prompt_id": "foreign", "node": "1", "text": "a star (1,2),(300,400)"}),
    ]
    for event in told:
        editor.page.evaluate(TELL, event)
        assert editor.shown() == OF_PLAN
    editor.box("a blue square").focus()
    editor.page.keyboard.press("ArrowLeft")
    assert "foreign" not in editor.page.evaluate(EDITOR_VALUE)


def test_a_run_that_is_over_before_it_has_a_name_is_taken(editor: EditorPage) -> None:
    editor.open()
    editor.page.evaluate(ANSWER_LATE)
    assert editor.frontend.run().succeeded
    editor.boxes.first.wait_for()
    assert editor.shown() == OF_PLAN


def test_a_picture_lands_where_its_plan_was_changed(editor: EditorPage, checkpoint: Checkpoint) -> None:
    for run in ("first", "second"):
        editor.frontend.load_prompt(everything(checkpoint.name))
        editor.frontend.pretend_run(run)
    saver = editor.page.evaluate(SAVER)
    for run in ("first", "second", "foreign"):
        output = {"images": [{"filename": f"{run}.png", "subfolder": "", "type": "output"}]}
        editor.page.evaluate(TELL, ["executed", {"prompt_id": run, "node": saver, "output": output}])
        assert ("second.png" in editor.page.evaluate(BACKGROUND)) == (run != "first")


def test_undo_keeps_what_the_last_run_has_brought(editor: EditorPage) -> None:
    editor.open_and_run()
    editor.page.evaluate(ADD_NODE_AND_UNDO)
    editor.boxes.first.wait_for()
    assert editor.shown() == OF_PLAN


def plan_on_node(editor: EditorPage) -> str:
    return editor.page.get_by_test_id("got-plan").first.text_content() or ""


def test_a_plan_stays_on_its_node(editor: EditorPage) -> None:
    to_first = open_tabs(editor, PLAN, OTHER)
    assert plan_on_node(editor) == NO_PLAN
    editor.page.evaluate(NOTICE_CHANGES)
    history = editor.page.evaluate(GRAPH_HISTORY)
    assert editor.run()
    editor.page.evaluate(NOTICE_CHANGES)
    assert editor.page.evaluate(GRAPH_HISTORY) == history, "no step of undo"
    assert plan_on_node(editor) == "A green star ."
    turn_to_next_tab(editor, to_first)
    assert plan_on_node(editor) == NO_PLAN, "another tab's is not taken"
    turn_to_next_tab(editor)
    assert plan_on_node(editor) == "A green star ."
    editor.page.evaluate(ADD_NODE_AND_UNDO)
    assert editor.run(), "all from the cache"
    assert plan_on_node(editor) == "A green star ."
    editor.frontend.load(editor.frontend.save())
    assert plan_on_node(editor) == "A green star .", "saved with the workflow"
    editor.page.evaluate(ADD_NODE_AND_UNDO)
    editor.frontend.reload()
    editor.page.wait_for_function(
        "() => document.querySelector('.got-plan')?.textContent === 'A green star .'"
    )
    editor.frontend.load({**workflow(OTHER, ""), "id": "another"})
    editor.page.wait_for_function(
        "(text) => document.querySelector('.got-plan')?.textContent === text", arg=NO_PLAN
    )
    assert editor.run(), "all from the cache, in a workflow that has seen no plan"
    assert plan_on_node(editor) == "A green star ."


def test_workflow_states_hold_no_more_than_they_did(editor: EditorPage) -> None:
    editor.open_and_run()
    saved = editor.frontend.save()
    (node,) = (node for node in saved["nodes"] if node["type"] == "GoTEditChain")
    (template,) = (node for node in workflow(PLAN, "")["nodes"] if node["type"] == "GoTEditChain")
    assert node["widgets_values"] == template["widgets_values"]
