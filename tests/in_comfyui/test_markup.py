"""What a plan, a workflow or a file says is text wherever the page shows it, and never stops the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from got_models.chain.chain import ReasoningChain

from .browser import Frontend
from .conftest import OLD, PAGES, SERVED, Checkpoint
from .prompts import CAPTION, CHAIN, Prompt, changed, drawing, node, reasoning
from .server import Server, accepted

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

SCRIPT = "a <img src=q onerror=pwned=7> star"
HOSTILE = (
    f"Here is {SCRIPT} (62,62),(438,438) &amp; <b>\"bold\"</b> 'single' & more, "
    "[[label|javascript:window.pwned=8]] [words](javascript:window.pwned=9) ![](http://127.0.0.1:9/q) "
    "<a href=javascript:window.pwned=10>x</a> http://127.0.0.1:9/p <|box_start|> "
    "<svg/onload=window.pwned=11> {{window.pwned=12}}"
)
ODD = ("\ud800", "\x1b]0;title\x07", "\u202e", "\x00", "\u2028", "\U0001f600")

SHOW = """() => { app.canvas.ds.scale = 1; app.canvas.ds.offset = [0, 0]; }"""
SHOW_WRITER = "() => app.canvas.centerOnNode(app.graph.nodes.find(({ type }) => type === 'GoTReason'))"
TELL = "([event, detail]) => app.api.dispatchCustomEvent(event, detail)"
WRITER = "() => String(app.graph.nodes.find(({ type }) => type === 'GoTReason').id)"
SAMPLER = "() => String(app.graph.nodes.find(({ type }) => type === 'GoTSampler').id)"
SHOW_SAMPLER = "() => app.canvas.centerOnNode(app.graph.nodes.find(({ type }) => type === 'GoTSampler'))"
SHOW_PROPERTIES = """() => {
    const node = app.graph.nodes.find(({ type }) => type === 'GoTReason');
    LGraphCanvas.active_canvas = app.canvas;
    LGraphCanvas.onShowMenuNodeProperties(null, {}, new MouseEvent('click'), null, node);
}"""
COMBO = """(type) => {
    const node = LiteGraph.createNode(type);
    app.graph.add(node);
    const { values } = node.widgets.find((widget) => widget.type === 'combo').options;
    const listed = typeof values === 'function' ? values() : values;
    new LiteGraph.ContextMenu(listed, { className: 'dark' });
    return listed;
}"""


@pytest.fixture(scope="module", params=PAGES.values(), ids=PAGES)
def page(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[Frontend]:
    fixture, nodes_2 = request.param
    server = request.getfixturevalue(fixture)
    server.post("/settings/Comfy.VueNodes.Enabled", nodes_2)
    page = Frontend(chromium.new_page(viewport={"width": 1900, "height": 1200}), server)
    page.page.set_default_timeout(20_000)
    yield page
    page.page.close()
    server.post("/settings/Comfy.VueNodes.Enabled", False)


def locked(checkpoint: str, text: str) -> Prompt:
    """A plan that must hold what another plan says, shown wherever a plan is shown."""
    return {
        **changed(reasoning(checkpoint, most_tokens=0), "reason", locked=["lock", 0]),
        "lock": node("GoTChainFromText", task="generate", prompt=CAPTION, text=text),
        "edit": node("GoTEditChain", chain=["reason", 0], edited_chain="", when_upstream_changes="keep mine"),
        "masks": node("GoTChainToMasks", chain=["edit", 0], width=64, height=64),
        "phrases": node("PreviewAny", source=["masks", 2]),
    }


def assert_harmless(page: Frontend) -> None:
    page.page.wait_for_timeout(500)  # a picture fails to load, and its script runs, a moment later
    assert page.page.evaluate("() => window.pwned") is None
    ours = page.page.locator(".got-node-text, .got-plan, .got-chain-editor, .got-training-plot")
    assert (
        ours.locator("a, b:has-text('bold'), svg[onload], img[onerror], img[src*='127.0.0.1:9']").count() == 0
    )


def plan_on(page: Frontend) -> Locator:
    """The plan on the node that was made first."""
    return page.page.get_by_test_id("got-plan").first


def test_a_plan_that_is_locked_runs_no_script(page: Frontend, checkpoint: Checkpoint) -> None:
    page.load_prompt(locked(checkpoint.name, f"There is {SCRIPT} (62,62),(438,438)."))
    page.page.evaluate(SHOW)
    run = page.run()
    assert run.succeeded, run.error
    assert SCRIPT in (plan_on(page).text_content() or "")
    assert SCRIPT in (page.page.locator(".got-chain-editor .got-text").first.text_content() or "")
    assert_harmless(page)


def test_what_is_being_written_is_shown_as_it_is(page: Frontend, checkpoint: Checkpoint) -> None:
    page.load_prompt(locked(checkpoint.name, CHAIN.text))
    page.page.evaluate(SHOW)
    page.pretend_run()
    writer = page.page.evaluate(WRITER)
    page.page.evaluate(TELL, ["got_text", {"prompt_id": "told", "node": writer, "text": HOSTILE}])
    prose = page.page.locator(".got-chain-editor .got-text").first
    shown = ReasoningChain.read(HOSTILE, "generate", "").text.split("<|box_start|>")[0]
    assert (prose.text_content() or "").startswith(shown)
    others = {"prompt_id": "told", "node": writer, "output": {"notes": [{"en": "a note"}]}}
    page.page.evaluate(TELL, ["executed", others])  # another part of the page may take it up last
    page.page.evaluate(SHOW_WRITER)
    page.page.get_by_test_id("got-plan").filter(has_text=shown).first.wait_for(state="attached")
    assert_harmless(page)


def test_a_long_text_is_scrolled_and_makes_no_node_grow(page: Frontend, checkpoint: Checkpoint) -> None:
    page.load_prompt(drawing(checkpoint.name))
    page.page.evaluate(SHOW)
    page.pretend_run()
    sampler = page.page.evaluate(SAMPLER)
    text = {"prompt_id": "told", "node": sampler, "text": "said of a picture, at length, " * 50}
    page.page.evaluate(TELL, ["got_text", text])
    page.page.evaluate(SHOW_SAMPLER)
    shown = page.page.locator(".got-node-text").filter(has_text="at length").first
    shown.wait_for()
    assert shown.evaluate("(element) => element.offsetHeight") < 200


def test_plans_that_a_workflow_brings_along_are_shown_as_they_are(
    page: Frontend, checkpoint: Checkpoint
) -> None:
    page.load_prompt(locked(checkpoint.name, CHAIN.text))
    workflow = page.save()
    notes = [{"en": HOSTILE, "zh": HOSTILE}, {"en": 7}, HOSTILE, None]
    plans = [{"text": HOSTILE, "notes": notes, "html": HOSTILE}, HOSTILE, {"text": {}}]
    for kept in (HOSTILE, 7, {}, plans):
        for each in workflow["nodes"]:
            each["properties"]["got_plans"] = kept
        assert page.load(workflow) == []
        page.page.evaluate(SHOW)
        text = plan_on(page).text_content() or ""
        assert (SCRIPT in text) == isinstance(kept, list)
        assert text.count("window.pwned=11") == 2 * isinstance(kept, list), "once as the plan, once as a note"
        page.page.evaluate(SHOW_PROPERTIES)
        page.page.keyboard.press("Escape")
    assert_harmless(page)


def test_errors_about_hostile_names_run_no_script(page: Frontend, checkpoint: Checkpoint) -> None:
    hostile: list[Prompt] = [
        {"read": node("GoTChainFromImage", image=SCRIPT), "shown": node("PreviewAny", source=["read", 1])},
        changed(drawing(checkpoint.name), "plan", text=f"{SCRIPT} (5,5),(2,2)"),
        changed(drawing(checkpoint.name), "loader", checkpoint=SCRIPT),
    ]
    for prompt in hostile:
        page.load_prompt(prompt)
        with page.page.expect_response(lambda response: response.url.endswith("/prompt")) as response:
            page.page.evaluate("() => app.queuePrompt(0)")
        if response.value.ok:
            page.server.wait(response.value.json()["prompt_id"])
        assert_harmless(page)
        page.page.keyboard.press("Escape")


def test_hostile_names_of_files_are_not_offered(page: Frontend) -> None:
    name = "<img src=q onerror=window.pwned=13>"
    folder = page.server.folder
    (folder / "input" / f"{name}.png").write_bytes(b"")
    (folder / "models" / "got" / name).mkdir(exist_ok=True)
    loras = folder / "models" / "loras" / "got"
    loras.mkdir(parents=True, exist_ok=True)
    (loras / f"{name}.safetensors").write_bytes(b"")
    page.page.evaluate("() => app.refreshComboInNodes()")
    for kind in ("GoTChainFromImage", "GoTModelLoader", "GoTLoraLoader", "GoTNativeModelLoader"):
        listed = page.page.evaluate(COMBO, kind)
        assert not any("onerror" in entry for entry in listed), kind
    assert_harmless(page)


def run_for_a_page(server: Server, prompt: Prompt) -> Any:
    """As from a page, which is told of the run."""
    return server.wait(accepted(server.post("/prompt", {"prompt": prompt, "client_id": "a page"})))


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@pytest.mark.parametrize("fixture", [OLD, SERVED])
def test_odd_characters_never_stop_the_server(
    request: pytest.FixtureRequest, fixture: str, checkpoint: Checkpoint, odd: str
) -> None:
    server: Server = request.getfixturevalue(fixture)
    reasoned, typed, wrong = (make(checkpoint.name) for make in (reasoning, drawing, drawing))
    reasoned["reason"]["inputs"]["prompt"] = typed["plan"]["inputs"]["prompt"] = f"a {odd} star"
    wrong["plan"]["inputs"]["text"] = f"a {odd} star (1,2),(2,1)"
    for prompt in (
        locked(checkpoint.name, f"There is a {odd} star (62,62),(438,438)."),
        reasoned,
        typed,
        wrong,
    ):
        run_for_a_page(server, prompt)
    after = run_for_a_page(server, reasoning(checkpoint.name, f"a star after {odd!a}"))
    assert after.succeeded, after.error
    assert server.answers()
