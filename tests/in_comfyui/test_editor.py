"""The chain editor in ComfyUI's own frontends: what each of them might do otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from got_models.chain.chain import ReasoningChain

from .conftest import PAGES
from .editor_page import (
    EDITOR_VALUE,
    PLAN,
    SQUARE,
    STREAM,
    UNDO_GRAPH,
    VIEWPORT,
    EditorPage,
    boxes_by_phrase,
    editor_page,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ADD_ENCODE = """([width, height]) => {
    const encode = LiteGraph.createNode('GoTSSGMEncode');
    for (const [name, value] of Object.entries({ width, height })) {
        encode.widgets.find((widget) => widget.name === name).value = value;
    }
    app.graph.add(encode);
    app.graph.nodes.find(({ type }) => type === 'GoTEditChain').connect(0, encode, 'chain');
}"""
INTO_SUBGRAPH = """() => {
    const editor = app.graph.nodes.find(({ type }) => type === 'GoTEditChain');
    const { node, subgraph } = app.graph.convertToSubgraph(new Set([editor]));
    app.canvas.openSubgraph(subgraph, node);
    app.canvas.ds.scale = 1;
    app.canvas.centerOnNode(subgraph.nodes[0]);
}"""
PASTE = """([root, text]) => {
    root.querySelector('.got-text').focus();
    const clipboardData = new DataTransfer();
    clipboardData.setData('text/plain', text);
    const how = { clipboardData, bubbles: true, cancelable: true };
    document.activeElement.dispatchEvent(new ClipboardEvent('paste', how));
}"""
QWEN = '[{"bbox_2d": [60, 420, 380, 930], "label": "a ginger cat"}]'
OUT_OF_SUBGRAPH = "() => app.canvas.setGraph(app.graph)"


@pytest.fixture(scope="module", params=PAGES.values(), ids=PAGES)
def editor(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[EditorPage]:
    fixture, nodes_2 = request.param
    with editor_page(request.getfixturevalue(fixture), chromium, nodes_2) as page:
        yield page


def test_another_models_plan_can_be_pasted_and_what_its_numbers_mean_be_chosen(editor: EditorPage) -> None:
    editor.open()
    editor.page.evaluate(PASTE, [editor.root.element_handle(), QWEN])
    bar = editor.root.get_by_test_id("got-paste")
    bar.get_by_text("1 box pasted from Qwen3-VL.").wait_for()
    assert editor.shown() == {"a ginger cat": "60,420,380,930"}
    bar.get_by_role("combobox").select_option("ideogram")
    editor.root.locator('[data-box="420,60,930,380"]').wait_for()
    bar.get_by_role("combobox").select_option("qwen2.5-vl")
    for field in bar.get_by_role("spinbutton").all():
        field.fill("2000")
    editor.page.keyboard.press("Enter")
    editor.root.locator('[data-box="30,210,190,465"]').wait_for()
    for _ in range(3):
        editor.page.keyboard.press("Control+z")
    assert not bar.is_visible()


def test_what_a_box_says_besides_is_given_by_keyboard_and_saved(editor: EditorPage) -> None:
    editor.open_and_run()
    editor.box("a blue square").focus()
    for keys in ("i", "O", "P", "E", "N", "Escape", "]", "h"):
        editor.page.keyboard.press(keys)
    square = editor.root.get_by_label("2: a blue square, from 560, 400 to 900, 740, switched off")
    square.wait_for()
    (box,) = json.loads(editor.page.evaluate(EDITOR_VALUE))["chain"]["details"]["boxes"]
    assert box == {"color": "green", "phrase": "a blue square", "text": "OPEN", "order": 1, "on": False}
    editor.run()
    editor.page.keyboard.press("Control+z")
    square.wait_for(state="detached")


def test_the_plan_that_leaves_follows_every_edit(editor: EditorPage) -> None:
    editor.open_and_run()
    assert editor.shown() == {"a large red circle": "120,312,496,688", "a blue square": SQUARE}
    place = editor.root.bounding_box()
    assert place and place["height"] > 600, "the hidden value takes no room"
    for field in (editor.page.get_by_text("edited_chain"), editor.page.get_by_placeholder("edited_chain")):
        assert not any(each.is_visible() for each in field.all()), "nor is it seen"

    editor.drag(editor.box("a blue square"), -0.2, 0.1)
    x1, y1, x2, y2 = map(int, editor.shown()["a blue square"].split(","))
    assert (x2 - x1, y2 - y1) == (340, 340)
    assert abs(x1 - 360) <= 4
    assert abs(y1 - 500) <= 4

    editor.drag(editor.page.locator("[data-handle=nw]"), 0.1, -0.1)
    left, top, right, bottom = map(int, editor.shown()["a blue square"].split(","))
    assert (right, bottom) == (x2, y2)
    assert abs(left - x1 - 100) <= 4
    assert abs(top - y1 + 100) <= 4

    editor.box("a blue square").dblclick()
    editor.page.keyboard.type("a purple square")
    editor.page.keyboard.press("Enter")
    assert "a purple square" in editor.shown()

    editor.drag(editor.root.locator(".got-canvas"), 0.2, 0.2, grip=(0.05, 0.05))
    editor.page.keyboard.type("a star")
    editor.page.keyboard.press("Enter")
    editor.box("a large red circle").focus()
    editor.page.keyboard.press("Delete")
    shown = editor.shown()
    assert sorted(shown) == ["a purple square", "a star"]
    regions = editor.run()
    assert boxes_by_phrase(regions) == shown

    saved = editor.frontend.save()
    assert editor.frontend.load(saved) == []
    editor.boxes.first.wait_for()
    assert editor.shown() == shown
    assert editor.run() == regions


def test_undo_in_the_editor_is_not_undo_in_the_graph(editor: EditorPage) -> None:
    editor.open_and_run()
    editor.box("a blue square").focus()
    editor.page.keyboard.press("Shift+ArrowLeft")
    editor.page.keyboard.press("ArrowUp")
    assert editor.shown()["a blue square"] == "550,399,890,739"
    editor.page.keyboard.press("Control+z")
    editor.page.wait_for_timeout(500)  # for a shortcut that must not come
    assert editor.shown()["a blue square"] == SQUARE
    assert editor.page.evaluate(EDITOR_VALUE) == ""
    editor.page.keyboard.press("Control+y")
    assert editor.shown()["a blue square"] == "550,399,890,739"
    editor.root.get_by_test_id("got-undo").click()
    assert editor.shown()["a blue square"] == SQUARE
    editor.root.get_by_test_id("got-redo").click()

    editor.page.evaluate(UNDO_GRAPH)
    editor.boxes.first.wait_for()
    assert editor.page.evaluate(EDITOR_VALUE) == ""
    assert editor.shown()["a blue square"] == SQUARE
    assert editor.page.evaluate("() => app.graph.nodes.length") == 2


def test_an_editor_in_a_subgraph_works_as_outside(editor: EditorPage) -> None:
    editor.open()
    editor.page.evaluate(ADD_ENCODE, [512, 256])
    editor.page.evaluate(INTO_SUBGRAPH)
    editor.root.wait_for()
    editor.root.hover()
    canvas = editor.root.locator(".got-canvas").bounding_box()
    assert canvas
    assert abs(canvas["width"] / canvas["height"] - 2) < 0.02, "as SSGM Encode outside has it"
    editor.frontend.pretend_run()
    editor.page.evaluate(STREAM, [ReasoningChain.parse(PLAN, "generate", "").text, False])
    assert editor.boxes.count() == 2
    assert editor.frontend.run().succeeded
    editor.box("a blue square").focus()
    editor.page.keyboard.press("Shift+ArrowUp")
    shown = editor.shown()
    assert shown["a blue square"] == "560,390,900,730"
    editor.page.evaluate(OUT_OF_SUBGRAPH)
    outputs = editor.frontend.run().outputs.values()
    (regions,) = (output["chain"][0]["regions"] for output in outputs if "chain" in output)
    assert boxes_by_phrase(regions) == shown


def test_every_action_is_reached_by_the_keyboard_and_has_a_name(editor: EditorPage) -> None:
    editor.open_and_run()
    keyboard, root = editor.page.keyboard, editor.root
    square = root.get_by_role("button", name="2: a blue square, from 560, 400 to 900, 740")
    square.focus()
    keyboard.press("Shift+F10")
    items = root.get_by_role("menu", name="Box").get_by_role("menuitem")
    assert items.all_inner_texts() == [
        "Rename\nEnter", "Lock\nL", "Duplicate\nCtrl+D", "Switch off\nH", "Lettering, colours, strength\nI",
        "One forward\n]", "One back\n[", "To front", "To back", "Delete\nDelete",
    ]  # fmt: skip
    keyboard.press("Escape")
    assert root.get_by_role("menu").is_hidden()
    keyboard.press("Shift+F10")
    for key in ("ArrowDown", "Enter"):
        keyboard.press(key)
    locked = root.get_by_role("button", name="2: a blue square, from 560, 400 to 900, 740, locked")
    assert locked.evaluate("(box) => box === document.activeElement"), "the focus comes back"
    keyboard.press("l")

    left = root.get_by_role("spinbutton", name="Left edge")
    left.fill("100")
    left.press("Enter")
    assert editor.shown()["a blue square"] == "100,400,440,740"
    editor.boxes.first.focus()
    for key in ("Space", "Tab", "Space", "ArrowDown"):
        keyboard.press(key)
    assert editor.shown() == {"a large red circle": "120,313,496,689", "a blue square": "100,401,440,741"}
    root.get_by_role("button", name="Align right edges").press("Enter")
    assert editor.shown()["a blue square"] == "156,401,496,741"

    root.get_by_role("button", name="Large view").press("Enter")
    dialog = editor.page.get_by_role("dialog", name="Chain editor")
    size = dialog.bounding_box()
    assert size
    assert (size["width"], size["height"]) == (VIEWPORT["width"], VIEWPORT["height"])
    dialog.get_by_role("button", name="1: a large red circle").focus()
    keyboard.press("ArrowUp")
    keyboard.press("Escape")
    dialog.wait_for(state="detached")
    opener = root.get_by_role("button", name="Large view")
    assert opener.evaluate("(button) => button === document.activeElement")
    assert editor.shown()["a large red circle"] == "120,312,496,688"
    assert editor.page.evaluate("() => app.graph.nodes.length") == 2
