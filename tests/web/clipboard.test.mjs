/** Words with their boxes, cut or copied in the prose and pasted again: what the boxes say besides goes with them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ChainModel } from "../../web/chain_editor/model.js";
import { listenToProse } from "../../web/chain_editor/typing.js";

const SIGN = { text: "OPEN", palette: ["#FF8800"], order: 2, on: false, strength: 0.5 };
const PLAIN = { text: "", palette: [], order: 0, on: true, strength: 1 };

class Clipboard {
    #held = new Map();
    get types() { return [...this.#held.keys()]; }
    setData(type, data) { this.#held.set(type, data); }
    getData(type) { return this.#held.get(type) ?? ""; }
}

/** An editor without a page, with this plan in its prose. */
function editorWith(plan) {
    const listeners = {};
    const prose = { element: "prose", text: "" };
    const model = new ChainModel(() => (prose.text = model.draft?.text ?? model.chain.text));
    const editor = { model, view: { prose }, said: [] };
    editor.attempt = (edit) => {
        try { edit(); } catch (error) { editor.said.push(error.message); }
    };
    listenToProse(editor, (_, name, listener) => (listeners[name] = listener));
    /** @param {string} name of an event @param {Clipboard} clipboardData */
    const fire = (name, clipboardData) => {
        let native = true;
        const preventDefault = () => (native = false);
        listeners[name]({ clipboardData, preventDefault, stopPropagation() {}, isComposing: false });
        return native;
    };
    /** Selects words of the plan, up to the end of a box. */
    editor.take = (name, words, clipboard = new Clipboard()) => {
        const start = prose.text.indexOf(words);
        const [taken, color] = /^.*?<\|box_end\|> \((\w+)\)/.exec(prose.text.slice(start));
        prose.selected = { text: taken, colors: [color] };
        const deleteFromDocument = () => (prose.text = prose.text.replace(taken, ""));
        globalThis.document = { getSelection: () => ({ deleteFromDocument }) };
        fire(name, clipboard);
        prose.selected = null;
        return clipboard;
    };
    editor.paste = (clipboard, before = "") => {
        const insert = (text) => {
            const place = before ? prose.text.indexOf(before) : prose.text.length;
            prose.text = prose.text.slice(0, place) + text + prose.text.slice(place);
            fire("input");
        };
        globalThis.document = { execCommand: (_, __, text) => insert(text) };
        if (fire("paste", clipboard)) insert(clipboard.getData("text/plain"));
    };
    editor.details = () => Object.fromEntries(model.chain.regions.map(({ phrase, detail }) => [phrase, detail]));
    model.write(plan);
    return editor;
}

/** The same, with something said about its sign. */
function signEditor() {
    const editor = editorWith("On the wall there is a sign (1,2),(300,400). Below it there is a dog (5,500),(300,900).");
    editor.model.describe(["red"], () => SIGN);
    return editor;
}

test("a box that is cut and pasted elsewhere in the plan says what it said", () => {
    const editor = signEditor();
    const clipboard = editor.take("cut", "a sign");
    assert.deepEqual(editor.details(), { "a dog": PLAIN });
    editor.paste(clipboard, " Below");
    assert.deepEqual(editor.details(), { "a sign": SIGN, "a dog": PLAIN });
    editor.paste(editor.take("copy", "a sign"), "On");
    assert.deepEqual(editor.model.chain.regions.map(({ detail }) => detail), [SIGN, SIGN, PLAIN]);
});

test("and so in another editor, whose boxes have the same colours", () => {
    for (const before of ["", "There"]) {
        const other = editorWith("There is a cat (1,2),(300,400) on a mat (1,300),(600,500). ");
        other.model.describe(["red"], (detail) => ({ ...detail, order: 7 }));
        other.paste(signEditor().take("copy", "a sign"), before);
        assert.deepEqual(other.details(), { "a sign": SIGN, "a cat": { ...PLAIN, order: 7 }, "a mat": PLAIN });
    }
});

test("what is pasted while the text is no chain yet is remembered until it is one", () => {
    const other = editorWith("There is a cat (1,2),(300,400).");
    const unfinished = "There is a cat (1,2),(300,4000). ";
    other.model.write(unfinished);
    other.paste(signEditor().take("copy", "a sign"));
    assert(other.model.draft);
    other.model.write(other.model.draft.text.replace("4000", "400"));
    assert.equal(other.model.draft, null);
    assert.deepEqual(other.details(), { "a cat": PLAIN, "a sign": SIGN });
});

test("what has been pasted says nothing about a box that is typed later", () => {
    const editor = signEditor();
    const clipboard = editor.take("cut", "a sign");
    editor.paste(clipboard);
    editor.take("cut", "a sign");
    const typed = new Clipboard();
    typed.setData("text/plain", " A sign (1,2),(300,400).");
    editor.paste(typed);
    assert.deepEqual(editor.details()["A sign"], PLAIN);
});

test("what a newer version has put on the clipboard is refused with the reason, and nothing is pasted", () => {
    const editor = signEditor();
    const clipboard = editor.take("copy", "a sign");
    const [, type] = clipboard.types;
    clipboard.setData(type, JSON.stringify({ version: 2, boxes: [] }));
    const before = editor.model.value;
    editor.paste(clipboard);
    assert.equal(editor.model.value, before);
    assert.match(editor.said[0], /newer version/);
});
