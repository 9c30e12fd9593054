/** What is dragged onto the editor: what it takes, and what is left to the browser and to ComfyUI. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { listenToDrops } from "../../web/chain_editor/dropping.js";

const JSON_PLAN = '[{"bbox_2d": [1, 2, 300, 400], "label": "a cat"}]';
const BOXES = "a cat <|box_start|>(1,2),(300,400)<|box_end|> (red)";

const target = (kind) => ({ closest: (selector) => (selector.includes(kind) ? {} : null) });
const [PROSE, PICTURE, FIELD] = [target("prose"), target("picture"), target("input")];

/** An editor without a page; everything that it does is noted. */
function editorWith({ editable = true, itself = false } = {}) {
    const [done, listeners] = [[], {}];
    const editor = {
        model: { editable, chain: { regions: [] } },
        pasting: { take: (text) => done.push(["plan", text]) },
        view: {
            root: "root",
            prose: {
                element: { contains: (other) => other === PROSE, toString: () => "prose" },
                selected: { text: BOXES, colors: ["red"] },
                goTo: (x, y, moves) => (done.push(["caret", x, moves]), !itself),
            },
        },
    };
    const insert = (data) => done.push(["boxes", data.getData("text/plain")]);
    listenToDrops(editor, (on, name, listener) => (listeners[`${on} ${name}`] = listener), {
        type: () => done.push(["typed"]), insert,
    });
    globalThis.document = { execCommand: (_, __, text) => done.push(["words", text]) };
    const fire = (name, on, text, more = {}) => {
        const held = new Map(Object.entries({ "text/plain": text, ...more.data }));
        const dataTransfer = {
            get types() { return [...held.keys()]; }, getData: (type) => held.get(type), setData: (type, data) => held.set(type, data),
        };
        let [native, reaches] = [true, true];
        const event = {
            target: on, clientX: 7, clientY: 8, ctrlKey: false, dataTransfer, ...more,
            preventDefault: () => (native = false), stopPropagation: () => (reaches = false),
        };
        listeners[name](event);
        return { native, reaches, held };
    };
    return {
        done,
        over: (on, text, more) => fire("root dragover", on, text, more),
        drop: (on, text, more) => fire("root drop", on, text, more),
        begin: () => fire("prose dragstart", PROSE, "a cat "),
        end: () => fire("prose dragend", PROSE, ""),
    };
}

test("a plan is read wherever it is dropped, and ComfyUI does not get it", () => {
    const editor = editorWith();
    assert.deepEqual(editor.drop(PICTURE, JSON_PLAN), { native: false, reaches: false, held: new Map([["text/plain", JSON_PLAN]]) });
    editor.drop(PICTURE, "a cat (1,2),(300,400)");
    editor.drop(PROSE, JSON_PLAN);
    assert.deepEqual(editor.done, [
        ["plan", JSON_PLAN], ["plan", "a cat (1,2),(300,400)"], ["caret", 7, false], ["plan", JSON_PLAN],
    ]);
});

test("words go where they are dropped in the prose, with their boxes", () => {
    const editor = editorWith();
    editor.drop(PROSE, "a dog");
    editor.drop(PROSE, BOXES);
    assert.deepEqual(editor.done, [["caret", 7, false], ["words", "a dog"], ["caret", 7, false], ["boxes", BOXES]]);
});

test("words of the prose itself move with their boxes, or with Ctrl stay where they are, too", () => {
    const editor = editorWith();
    assert.equal(editor.begin().held.get("text/plain"), BOXES);
    editor.drop(PROSE, BOXES);
    editor.drop(PROSE, "[5] of them", { ctrlKey: true });
    editor.end();
    editor.drop(PROSE, "a dog");
    assert.deepEqual(editor.done, [
        ["caret", 7, true], ["typed"], ["boxes", BOXES], ["caret", 7, false], ["words", "[5] of them"],
        ["caret", 7, false], ["words", "a dog"],
    ]);
    const dropped = editorWith({ itself: true });
    dropped.begin();
    dropped.drop(PROSE, BOXES);
    assert.deepEqual(dropped.done, [["caret", 7, true]]);
});

test("fields get their text from the browser; files, and pictures by their address, are ComfyUI's", () => {
    const editor = editorWith();
    assert.deepEqual([editor.drop(FIELD, JSON_PLAN)].map(({ native, reaches }) => [native, reaches]), [[true, false]]);
    for (const type of ["Files", "text/uri-list"]) {
        for (const event of [editor.over, editor.drop]) {
            const { native, reaches } = event(PICTURE, "a", { data: { [type]: "" } });
            assert.deepEqual([native, reaches], [true, true]);
        }
    }
    assert.deepEqual(editor.done, []);
});

test("the picture takes text, and the prose shows its own caret", () => {
    const editor = editorWith();
    assert.equal(editor.over(PICTURE, "a").native, false);
    assert.equal(editor.over(PROSE, "a").native, true);
});

test("a plan that cannot be edited takes nothing", () => {
    const editor = editorWith({ editable: false });
    assert.deepEqual([editor.drop(PICTURE, JSON_PLAN).native, editor.done], [false, []]);
});
