/** What is pasted into the editor: when the server is asked, and what becomes of its answer. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseChain } from "../../web/chain_editor/chain.js";
import { chainToJson } from "../../web/chain_editor/chain_json.js";
import { ChainModel } from "../../web/chain_editor/model.js";
import { mayBePlan, Pasting } from "../../web/chain_editor/paste.js";

const QWEN = '[{"bbox_2d": [1, 2, 300, 400], "label": "a cat"}]';
const CAT = { chain: chainToJson(parseChain("There is a cat (1,2),(300,400).", "generate", "a cat")), notation: "qwen3-vl" };
const PROSE = { matches: () => false };
const PICTURE = { matches: () => false };

/** An editor without a page, whose server answers in turn. */
function editorWith(...answers) {
    const listeners = {};
    const on = (target, name, listener) => (listeners[`${target} ${name}`] = listener);
    const editor = {
        said: [], asked: [], typed: [], draw() {},
        attempt(edit) {
            try { edit(); } catch (error) { this.say(error.message); }
        },
        say(message) { this.said.push(message); },
        view: {
            root: "root", prose: { element: { contains: (target) => target === PROSE } },
            paste: { notation: "notation", sizeForm: "form", done: "done", noPlan: "no plan", why: ({ en }) => en, size: { width: 2000, height: 1000 } },
        },
    };
    editor.model = new ChainModel(() => {});
    editor.pasting = new Pasting(editor, async (question) => (editor.asked.push(question), answers.shift()));
    editor.pasting.listen(on);
    globalThis.document = { activeElement: editor.view.prose.element, execCommand: (_, __, text) => editor.typed.push(text) };
    editor.paste = async (text, target = PROSE) => {
        let native = true;
        listeners["root paste"]({ target, clipboardData: { getData: () => text }, preventDefault: () => (native = false) });
        await new Promise(setImmediate);
        return native;
    };
    editor.choose = async (notation) => {
        editor.view.paste.notation = { value: notation };
        listeners["notation change"]();
        await new Promise(setImmediate);
    };
    editor.sendSize = async () => {
        listeners["form submit"]({ preventDefault() {} });
        await new Promise(setImmediate);
    };
    return editor;
}

test("only what may be another model's plan is sent to the server", () => {
    for (const text of [
        QWEN, "a cat<loc_1><loc_2><loc_3><loc_4>", "a cat <bbox>[0.1, 0.2, 0.3, 0.4]</bbox>", "- cat: (0.1, 0.2, 0.3, 0.4)",
        "canvas.add_local_description(location='on the left')",
    ]) assert.ok(mayBePlan(text), text);
    for (const text of [
        "a cat", "a cat (1,2),(3,4)", "a cat <|box_start|>(1,2),(3,4)<|box_end|> (red)", "A poster [SALE]", "",
    ]) assert.ok(!mayBePlan(text), text);
});

test("a pasted plan is one step, with its own prompt, and what is said of it goes with the next edit", async () => {
    const editor = editorWith({ ...CAT, notes: [{ en: "Left out: x." }], ambiguous: true });
    editor.model.write("On a red sofa (500,500),(900,900).");
    editor.model.seal();
    assert.equal(await editor.paste(QWEN), false);
    const { model, pasting } = editor;
    assert.deepEqual([model.chain.text, model.prompt], [CAT.chain.text, "a cat"]);
    assert.ok(pasting.counts);
    model.undo();
    assert.ok(model.chain.text.startsWith("On a red sofa"));
    assert.ok(!pasting.counts);
    model.redo();
    assert.ok(pasting.counts);
    model.move(model.chain.regions[0].color, [0, 0, 9, 9]);
    assert.ok(!pasting.counts);
});

test("the prompt of a change, and one that is not to follow the plan, stays", async () => {
    const editor = editorWith(CAT, CAT);
    editor.model.writePrompt("a portrait");
    editor.model.followPlan(false);
    await editor.paste(QWEN);
    editor.model.followPlan(true);
    await editor.paste(QWEN);
    assert.deepEqual(editor.asked.map(({ prompt }) => prompt), ["a portrait", ""]);
});

test("another meaning of the numbers is asked for again; one in pixels with the size of the picture", async () => {
    const editor = editorWith(CAT, CAT, CAT);
    await editor.paste(QWEN);
    await editor.choose("ideogram");
    await editor.choose("qwen2.5-vl");
    assert.ok(editor.pasting.asksSize);
    assert.equal(editor.asked.length, 2);
    await editor.sendSize();
    assert.ok(!editor.pasting.asksSize);
    const [, second, third] = editor.asked;
    assert.deepEqual([second.text, second.notation], [QWEN, "ideogram"]);
    assert.deepEqual([third.notation, third.width, third.height], ["qwen2.5-vl", 2000, 1000]);
});

test("boxes in pixels wait for the size, and nothing changes before", async () => {
    const editor = editorWith({ error: { en: "in pixels" }, size: true, notation: "bounding boxes" }, CAT);
    await editor.paste(QWEN);
    assert.ok(editor.pasting.asksSize && editor.pasting.counts);
    assert.equal(editor.model.value, "");
    await editor.sendSize();
    assert.equal(editor.model.chain.regions.length, 1);
});

test("prose, and all that comes while the server cannot be asked, is typed", async () => {
    const editor = editorWith({ prose: true }, null);
    await editor.paste("a cat [5]");
    await editor.paste(QWEN);
    assert.deepEqual(editor.typed, ["a cat [5]", QWEN]);
    assert.equal(await editor.paste("a cat (1,2),(3,4)"), true, "by the page itself");
    globalThis.document.activeElement = "a box";
    await editor.paste("a cat [5]");
    assert.deepEqual(editor.said, ["no plan"]);
});

test("what cannot be read is said, a locked box stays, and a field gets what is pasted into it", async () => {
    const editor = editorWith({ error: { en: "No box could be read." } }, CAT);
    await editor.paste(QWEN);
    assert.deepEqual(editor.said, ["No box could be read."]);
    editor.model.write("a dog (1,2),(300,400)");
    editor.model.toggleLock("red");
    const before = editor.model.value;
    await editor.paste(QWEN);
    assert.equal(editor.model.value, before);
    assert.match(editor.said[1], /'a dog' is locked/);
    assert.equal(await editor.paste(QWEN, { matches: () => true }), true);
});

test("on the picture, words with boxes become the plan, and other words are none", async () => {
    const editor = editorWith();
    assert.equal(await editor.paste("There is a cat (1,2),(300,400).", PICTURE), false);
    assert.deepEqual(editor.model.chain.regions.map(({ phrase }) => phrase), ["a cat"]);
    assert.equal(await editor.paste("There is a dog.", PICTURE), false);
    assert.deepEqual(editor.said, ["no plan"]);
    assert.equal(editor.model.chain.regions.length, 1);
});

test("a box on the picture with something wrong stays in the words, to be mended", async () => {
    const editor = editorWith();
    await editor.paste("There is a cat (5,5),(5,5).", PICTURE);
    assert.deepEqual([editor.said, editor.model.draft.text], [[], "There is a cat (5,5),(5,5)."]);
    assert.match(editor.model.draft.message, /no area/);
});
