/** The model behind the editor: edits, locks, undo, and what happens when the incoming chain changes. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { carryDetails, ChainError, parseChain } from "../../web/chain_editor/chain.js";
import { chainFromJson, chainToJson } from "../../web/chain_editor/chain_json.js";
import { ChainModel } from "../../web/chain_editor/model.js";
import { seeded } from "./random.mjs";

const VECTORS = JSON.parse(readFileSync(new URL("../fixtures/chains.json", import.meta.url), "utf8"));
const TEXT = "A red circle <|box_start|>(100,200),(400,500)<|box_end|> (red) is left of"
    + " a blue square <|box_start|>(600,200),(900,500)<|box_end|> (green).";
const OTHER = "A red circle (1,2),(300,400) (blue) is above a star (10,500),(200,900) (red).";

const json = (text, task = "generate") => chainToJson(parseChain(text, task, "a prompt"));

function modelOf(text, task) {
    const model = new ChainModel(() => {});
    model.receive(json(text, task));
    return model;
}

function assertConsistent(model) {
    const { chain } = model;
    const read = carryDetails(parseChain(chain.text, chain.task, chain.prompt), chain.regions);
    assert.deepEqual(read, chain, "text and boxes agree");
    if (model.value) {
        const saved = JSON.parse(model.value);
        assert.deepEqual(chainFromJson(saved.chain), model.edit.chain);
        const copy = new ChainModel(() => {});
        copy.value = model.value;
        const known = (edit) => ({ ...edit, origin: carryDetails(edit.origin, []) });
        assert.deepEqual(known(copy.edit), known(model.edit), "what is saved can be loaded");
    }
}

test("without an edit the incoming chain passes through", () => {
    const model = modelOf(TEXT);
    assert.equal(model.value, "");
    assert.equal(model.chain.text, TEXT);
    assert.equal(model.canUndo, false);
});

test("a moved box is in the text, and the value says what was edited", () => {
    const model = modelOf(TEXT);
    model.move("red", [0, 0, 300, 300]);
    assert(model.chain.text.includes("A red circle <|box_start|>(0,0),(300,300)<|box_end|> (red)"));
    const saved = JSON.parse(model.value);
    assert.equal(saved.upstream, TEXT);
    assert.deepEqual(saved.chain, chainToJson(model.chain));
    model.undo();
    assert.equal(model.value, "");
    model.redo();
    assert.deepEqual(JSON.parse(model.value), saved);
});

test("edits of one kind are one step of undo", () => {
    const model = modelOf(TEXT);
    model.move("red", [101, 200, 401, 500], "nudge red");
    model.move("red", [102, 200, 402, 500], "nudge red");
    model.undo();
    assert.equal(model.value, "");
    model.move("red", [101, 200, 401, 500], "nudge red");
    model.seal();
    model.move("red", [102, 200, 402, 500], "nudge red");
    model.undo();
    assert.deepEqual(model.region("red").box, [101, 200, 401, 500]);
});

test("a step of undo is told when it is complete", () => {
    let steps = 0;
    const model = new ChainModel(() => {}, () => (steps += 1));
    model.receive(json(TEXT));
    for (let end = 1; end < 9; end += 1) model.write(`${TEXT} And more`.slice(0, TEXT.length + end));
    assert.equal(steps, 0, "the typing may go on");
    model.seal();
    model.seal();
    assert.equal(steps, 1);
    model.move("red", [101, 200, 401, 500], "nudge red");
    model.move("red", [0, 0, 9, 9]);
    assert.equal(steps, 3, "a drag ends the nudging");
    model.undo();
    model.redo();
    assert.equal(steps, 5);
});

test("an edit that changes nothing is no step of undo", () => {
    const model = modelOf(TEXT);
    model.move("red", [0, 0, 9, 9]);
    model.move("red", [0, 0, 9, 9]);
    model.undo();
    assert.equal(model.value, "");
});

test("add, duplicate, rename, remove", () => {
    const model = modelOf(TEXT);
    const added = model.add([1, 2, 300, 400]);
    assert.equal(added, "blue");
    model.rename(added, "a small dog");
    assert.equal(model.region(added).phrase, "a small dog");
    const [copy] = model.duplicate("red");
    assert.deepEqual([model.region(copy).phrase, model.region(copy).box], ["A red circle", [140, 240, 440, 540]]);
    model.remove("red");
    assert.equal(model.region("red"), null);
    assert(model.chain.text.startsWith("A red circle is left of"));
    model.rename("green", "a square, blue");
    assert.equal(model.region("green").phrase, "a square, blue");
    assert.throws(() => model.rename("green", "a square (1,2),(3,4)"), ChainError);
});

test("several boxes move, lock, double and go as one step of undo", () => {
    const model = modelOf(TEXT);
    const both = ["red", "green"];
    model.place(new Map([["red", [0, 0, 9, 9]], ["green", [10, 10, 19, 19]]]));
    assert.deepEqual([...model.boxesOf(both).values()], [[0, 0, 9, 9], [10, 10, 19, 19]]);
    model.undo();
    assert.equal(model.value, "");
    model.toggleLock("red");
    model.toggleLock(...both);
    assert(both.every((color) => model.isLocked(color)));
    assert.throws(() => model.place(new Map([["red", [0, 0, 9, 9]]])), /locked/);
    model.toggleLock(...both);
    assert(!both.some((color) => model.isLocked(color)));
    assert.deepEqual(model.duplicate(...both), ["blue", "yellow"]);
    model.remove(...both);
    assert.deepEqual(model.chain.regions.map(({ color }) => color), ["blue", "yellow"]);
    model.undo();
    assert.equal(model.chain.regions.length, 4);
    assertConsistent(model);
});

test("a box goes in front of the others or behind them, and the plan stays as it is", () => {
    const model = modelOf(`${TEXT} A dot (1,1),(2,2) (blue).`);
    const { text } = model.chain;
    const order = () => model.stacked.map(({ color }) => color);
    model.stack(["red"], "front");
    assert.deepEqual(order(), ["green", "blue", "red"]);
    model.stack(["green"], "front");
    model.stack(["blue", "red"], "back");
    assert.deepEqual(order(), ["red", "blue", "green"]);
    assert.equal(model.chain.text, text);
    assertConsistent(model);
    model.remove("green");
    assertConsistent(model);
    for (let step = 0; step < 4; step += 1) model.undo();
    assert.deepEqual(order(), ["red", "green", "blue"]);
});

test("what a box says besides goes through every edit, is saved with the plan, and undone like the rest", () => {
    const model = modelOf(TEXT);
    const sign = { text: "OPEN", palette: ["#FF8800"], order: 2, on: false, strength: 1.5 };
    model.describe(["red"], () => sign);
    assert.deepEqual(model.region("red").detail, sign);
    assert.equal(model.chain.text, TEXT, "the text does not hold it");
    model.rename("red", "a board");
    model.move("red", [0, 0, 9, 9]);
    model.write(model.chain.text.replace("left", "right"));
    model.add([1, 2, 300, 400]);
    const [copy] = model.duplicate("red");
    model.remove("green");
    assert.deepEqual([model.region("red").detail, model.region(copy).detail], [sign, sign]);
    assert.equal(JSON.parse(model.value).chain.details.version, 1);
    assertConsistent(model);
    for (let step = 0; step < 7; step += 1) model.undo();
    assert.equal(model.value, "");
});

test("numbers, lettering and colours end at their limits, and a draft stays", () => {
    const model = modelOf(TEXT);
    model.write(`${TEXT} a star (1,2),(3,`);
    const wild = { text: "x".repeat(2000), palette: Array(9).fill("#ff8800"), order: 5000, on: true, strength: 7 };
    model.describe(["red"], () => wild);
    const { text, palette, order, strength } = model.region("red").detail;
    assert.deepEqual([text.length, palette.length, palette[0], order, strength], [1000, 5, "#FF8800", 1000, 2]);
    assertConsistent(model);
});

test("what is locked keeps its details in a plan that was made around it", () => {
    const model = modelOf(TEXT);
    model.describe(["red"], (detail) => ({ ...detail, strength: 0.5 }));
    model.toggleLock("red");
    model.replan();
    model.receive(json("A star (5,5),(90,90) (red) above A red circle (100,200),(400,500) (blue)."));
    assert.deepEqual(model.chain.regions.map(({ detail }) => detail.strength), [1, 0.5]);
    model.takeNew();
    assert.deepEqual(model.chain.regions.map(({ detail }) => detail.strength), [1, 0.5]);
});

test("the order of boxes that an earlier version has saved is read", () => {
    const model = new ChainModel(() => {});
    model.value = JSON.stringify({ upstream: TEXT, chain: json(TEXT), levels: { red: 3, gone: 1, green: "x" } });
    assert.deepEqual(model.stacked.map(({ color }) => color), ["green", "red"]);
});

test("text that is no chain yet is kept, with the reason, and the last valid plan counts", () => {
    const model = modelOf(TEXT);
    const typed = TEXT.replace("(100,200)", "(100,2000)");
    model.write(typed);
    assert.equal(model.chain.text, TEXT);
    assert.equal(model.draft.text, typed);
    assert(model.draft.message.includes("0 to 999"));
    assert.equal(typed.slice(model.draft.start, model.draft.end), "<|box_start|>(100,2000),(400,500)<|box_end|> (red)");
    assertConsistent(model);
    model.write(TEXT.replace("left", "right"));
    assert.equal(model.draft, null);
    assert(model.chain.text.includes("is right of"));
});

const PROMPT = "a red circle to the left of a blue square";

function modelWithPrompt() {
    const model = new ChainModel(() => {});
    model.receive({ ...json(TEXT), prompt: PROMPT });
    return model;
}

test("the prompt follows what changes in the plan, and undo brings it back", () => {
    const model = modelWithPrompt();
    assert.equal(model.prompt, PROMPT);
    model.rename("green", "an orange star");
    assert.equal(model.prompt, "a red circle to the left of an orange star");
    model.add([1, 2, 300, 400], "a cat");
    assert.equal(model.prompt, "a red circle to the left of an orange star, and a cat");
    assert.equal(JSON.parse(model.value).chain.prompt, model.prompt, "the node draws with it");
    model.undo();
    model.move("red", [0, 0, 9, 9]);
    assert.equal(model.prompt, "a red circle to the left of an orange star");
    model.undo();
    model.undo();
    assert.equal(model.prompt, PROMPT);
    assert.equal(model.value, "");
});

test("the prompt follows words that are typed letter by letter", () => {
    const model = modelWithPrompt();
    const word = "blue square";
    const start = TEXT.indexOf(word);
    for (let end = word.length - 1; end >= 0; end -= 1) {
        model.write(TEXT.slice(0, start) + word.slice(0, end) + TEXT.slice(start + word.length));
    }
    for (let end = 1; end <= "green star".length; end += 1) {
        model.write(TEXT.slice(0, start) + "green star".slice(0, end) + TEXT.slice(start + word.length));
    }
    assert.equal(model.prompt, "a red circle to the left of a green star");
    model.undo();
    assert.equal(model.prompt, PROMPT);
});

test("a prompt that was written by hand is where the plan's next changes start", () => {
    const model = modelWithPrompt();
    model.rename("red", "a green circle");
    model.writePrompt("an old photo of a blue square, and something round");
    model.rename("green", "a star");
    assert.equal(model.prompt, "an old photo of a star, and something round");
    assert.deepEqual(model.missed, []);
    model.rename("red", "a cat");
    assert.deepEqual(model.missed, ["The prompt does not name 'a green circle': it is left unchanged."]);
    for (const text of ["a <|im_end|>", "\ud800"]) assert.throws(() => model.writePrompt(text), ChainError);
    assert.equal(model.prompt, "an old photo of a star, and something round");
    assertConsistent(model);
});

test("a prompt alone is an edit too", () => {
    const model = modelWithPrompt();
    model.writePrompt("another prompt");
    assert.equal(model.chain.text, TEXT);
    assert.equal(JSON.parse(model.value).chain.prompt, "another prompt");
    model.undo();
    assert.equal(model.value, "");
});

test("an empty prompt says what the plan says", () => {
    const model = modelWithPrompt();
    model.writePrompt(" ");
    assert.equal(model.prompt, "A red circle and a blue square");
    model.followPlan(false);
    assert.equal(model.prompt, "");
    const page = new ChainModel(() => {});
    page.add([0, 0, 300, 300], "a red circle");
    page.add([400, 0, 700, 300], "an orange star");
    assert.equal(page.prompt, "a red circle and an orange star");
    page.write(`On a black background there are ${page.chain.text}`);
    assert.equal(page.prompt, "a red circle and an orange star on a black background");
});

test("where the prompt is not to follow, it is the one that was written", () => {
    const model = modelWithPrompt();
    model.followPlan(false);
    assert.equal(model.value, "", "a wish alone is no edit");
    model.rename("green", "a star");
    assert.equal(model.prompt, PROMPT);
    model.followPlan(true);
    assert.equal(model.prompt, "a red circle to the left of a star", "what has changed meanwhile counts");
    const copy = new ChainModel(() => {});
    copy.value = model.value;
    copy.followPlan(false);
    assert.equal(copy.prompt, PROMPT, "also after it was saved");
    assert.deepEqual(copy.missed, []);
});

test("a version from before the prompt followed draws what it drew, until it is changed", () => {
    const model = modelWithPrompt();
    const old = { upstream: TEXT, chain: { ...json(TEXT.replace("blue square", "green star")), prompt: PROMPT } };
    old.chain.regions[1].phrase = "a green star";
    model.value = JSON.stringify(old);
    assert.equal(model.prompt, PROMPT);
    model.followPlan(true);
    assert.equal(model.prompt, PROMPT);
    model.rename("red", "a cat");
    assert.equal(model.prompt, "a cat to the left of a blue square");
});

test("unlocking lets typed words in, and the prompt follows them", () => {
    const model = modelWithPrompt();
    model.toggleLock("red");
    model.write(TEXT.replace("red circle", "cat"));
    assert.equal(model.prompt, PROMPT);
    model.toggleLock("red");
    assert.equal(model.prompt, "a cat to the left of a blue square");
});

test("a locked region withstands every edit", () => {
    const model = modelOf(TEXT);
    model.toggleLock("red");
    const before = model.value;
    for (const edit of [
        () => model.move("red", [0, 0, 9, 9]),
        () => model.rename("red", "a cat"),
        () => model.remove("red"),
    ]) assert.throws(edit, /locked/);
    assert.equal(model.value, before);
    model.write(TEXT.replace("red circle", "cat"));
    assert(model.draft.message.includes("locked"));
    model.move("green", [0, 0, 9, 9]);
    model.toggleLock("red");
    model.move("red", [0, 0, 9, 9]);
});

test("removing a box may not change the words of a locked one", () => {
    const model = modelOf("cat (0,0),(9,9) and dog (1,1),(9,9)");
    model.toggleLock("green");
    assert.throws(() => model.remove("red"), /locked/);
});

test("when the incoming chain changes: keep mine", () => {
    const model = modelOf(TEXT);
    model.move("red", [0, 0, 9, 9]);
    model.receive(json(OTHER));
    assert(model.upstreamChanged);
    assert.deepEqual(model.region("red").box, [0, 0, 9, 9]);
    model.keepMine();
    assert(!model.upstreamChanged);
    assert.equal(JSON.parse(model.value).upstream, model.incoming.text);
});

test("when the incoming chain changes: take new, and back", () => {
    const model = modelOf(TEXT);
    model.move("red", [0, 0, 9, 9]);
    model.receive(json(OTHER));
    model.takeNew();
    assert.equal(model.value, "");
    assert.equal(model.chain, model.incoming);
    model.undo();
    assert.deepEqual(model.region("red").box, [0, 0, 9, 9]);
});

test("what is locked goes to GoT Reason, and the plan that comes back counts, with the same boxes locked", () => {
    const model = modelOf(TEXT);
    model.move("green", [500, 500, 900, 900]);
    model.toggleLock("green");
    assert.equal(model.replan(), "a blue square (500,500),(900,900)");
    assert(model.replans && !model.upstreamChanged);
    assert.deepEqual(model.region("green").box, [500, 500, 900, 900], "until then it is the artist's that counts");
    const around = "A star (1,2),(300,400) (green) is above a blue square (500,500),(900,900) (red).";
    model.receive(json(around));
    assert(model.replanned && !model.replans);
    assert.equal(model.chain, model.incoming);
    assert.deepEqual([model.isLocked("red"), model.isLocked("green")], [true, false]);
    assertConsistent(model);
    model.keepMine();
    assert.equal(model.region("red").phrase, "A red circle", "the artist's version is still there");
    model.undo();
    model.takeNew();
    assert.deepEqual([model.chain.text, model.isLocked("red"), model.upstreamChanged], [model.incoming.text, true, false]);
});

test("a change after 'replan around locked' is the artist's again", () => {
    const model = modelOf(TEXT);
    model.toggleLock("green");
    model.replan();
    model.rename("red", "a cat");
    assert(!model.replans);
    model.receive(json(OTHER));
    assert.equal(model.region("red").phrase, "a cat");
    model.undo();
    assert.equal(model.chain, model.incoming, "undone, it replans again");
});

test("locked objects are written as people write them, marked where their words would be cut", () => {
    const model = modelOf("<|obj_start|>a man in a hat<|obj_end|> (1,2),(3,4) and a cat (5,6),(7,8) and star (9,9),(10,10)");
    for (const color of ["red", "green", "blue"]) model.toggleLock(color);
    const locked = model.replan();
    assert.equal(locked, "<|obj_start|>a man in a hat<|obj_end|> (1,2),(3,4), a cat (5,6),(7,8), and star (9,9),(10,10)");
    const read = parseChain(locked, "generate", "").regions.map(({ phrase, box }) => [phrase, box]);
    assert.deepEqual(read, model.chain.regions.map(({ phrase, box }) => [phrase, box]));
});

test("'take new' shows the incoming chain until that one is edited", () => {
    const model = modelOf(TEXT);
    model.takesNew = true;
    model.move("red", [0, 0, 9, 9]);
    const mine = model.value;
    model.receive(json(OTHER));
    assert.equal(model.chain, model.incoming);
    assert.equal(model.value, mine, "in case the old chain comes back");
    model.move("red", [0, 0, 8, 8]);
    assert.equal(JSON.parse(model.value).upstream, model.incoming.text);
    assert.equal(model.region("red").phrase, "a star");
});

test("a version made for another task cannot be kept", () => {
    const model = modelOf(TEXT);
    model.move("red", [0, 0, 9, 9]);
    model.receive(json(TEXT, "edit"));
    assert(!model.fitsIncoming);
});

test("with nothing connected, an empty page takes boxes and words", () => {
    const model = new ChainModel(() => {});
    assert(model.editable && model.blank && !model.emptied);
    assert.equal(model.value, "");
    const color = model.add([100, 100, 400, 400], "a cat");
    model.write(`${model.chain.text} It sits on a sofa (0,300),(900,900).`);
    assert.deepEqual(model.chain.regions.map(({ phrase }) => phrase), ["a cat", "a sofa"]);
    const saved = JSON.parse(model.value);
    assert.deepEqual([saved.upstream, saved.chain.task, saved.chain.prompt], ["", "generate", "a cat and a sofa"]);
    assertConsistent(model);
    model.surround(false, "edit");
    model.followTask();
    assert.equal(JSON.parse(model.value).chain.task, "edit");
    assert.equal(model.region(color).phrase, "a cat");
});

test("a plan made alone is kept when one comes in, and when that is gone again", () => {
    const model = new ChainModel(() => {});
    model.surround(true, "generate");
    model.add([100, 100, 400, 400], "a cat");
    model.receive(json(TEXT));
    assert(model.upstreamChanged);
    assert.equal(model.chain.regions[0].phrase, "a cat");
    model.surround(false, "generate");
    assert(!model.upstreamChanged);
    assert.equal(model.chain.regions[0].phrase, "a cat");
    const untouched = modelOf(TEXT);
    untouched.surround(false, "generate");
    assert(untouched.blank, "what came in was not the artist's");
});

test("a plan without words is no plan, and the one that came in can be had back", () => {
    const model = modelOf(TEXT);
    model.write("  ");
    assert(model.emptied && model.blank);
    model.takeNew();
    assert.equal(model.chain.text, TEXT);
    assert(!model.emptied);
    const empty = modelOf("");
    empty.write(" ");
    assert(!empty.emptied, "it was empty before");
});

test("of several plans of a prompt another one can be chosen, and undone", () => {
    const model = modelOf(TEXT);
    model.offer([json(TEXT), json(OTHER), json(TEXT), json("A star (1,2),(300,400).")]);
    assert.deepEqual(model.variants.map(({ regions }) => regions.length), [2, 2, 1], "one that is there twice is shown once");
    model.choose(2);
    assert.equal(model.chain.regions[0].phrase, "A star");
    assert.equal(JSON.parse(model.value).upstream, TEXT);
    assert(!model.upstreamChanged);
    assertConsistent(model);
    model.choose(0);
    assert.equal(model.value, "", "the incoming one needs no edit");
    model.undo();
    assert.equal(model.chain.regions[0].phrase, "A star");
    model.undo();
    assert.equal(model.chain.text, TEXT);
});

test("of plans that a workflow brings along one can be chosen before any run, and what is no plan is left out", () => {
    const model = new ChainModel(() => {});
    for (const strange of [undefined, null, 7, "text", {}, [null, 7, "text", {}, { ...json(TEXT), version: 9 }]]) {
        model.offer(strange);
        assert.deepEqual(model.variants, []);
    }
    model.offer([json(TEXT), "nothing", json(OTHER)]);
    assert.equal(model.variants.length, 2);
    for (const [index, text] of [TEXT, OTHER].map((plan) => json(plan).text).entries()) {
        model.choose(index);
        assert.equal(model.chain.text, text);
        assert.equal(JSON.parse(model.value).upstream, json(TEXT).text, "the first is the one that a run will bring");
    }
    model.receive(json(TEXT));
    assert(!model.upstreamChanged);
    assert.equal(model.chain.text, json(OTHER).text);
    model.offer(Array(1000).fill(0).map((_, index) => json(`A star (1,2),(300,${400 + (index % 500)}).`)));
    assert.equal(model.variants.length, 64);
});

test("while the model writes, each box lands when it is complete", () => {
    const model = modelOf(OTHER);
    model.move("red", [0, 0, 9, 9]);
    const counts = [];
    for (let end = 1; end <= TEXT.length; end += 1) {
        model.stream(TEXT.slice(0, end));
        counts.push(model.chain.regions.length);
    }
    const complete = TEXT.indexOf("(400,500)") + "(400,500)".length;
    assert.deepEqual(counts.slice(complete - 2, complete), [0, 1]);
    assert.equal(counts.at(-1), 2);
    assert.throws(() => model.move("red", [0, 0, 8, 8]), ChainError);
    model.stream(null);
    assert.deepEqual(model.region("red").box, [0, 0, 9, 9]);
});

const lockedBy = (locked) => JSON.stringify({ locked, upstream: "", chain: json(TEXT) });
const misled = JSON.stringify({ upstream: "", chain: json(TEXT), origin: { prompt: 7, text: "" } });
const newer = JSON.stringify({ upstream: "", chain: { ...json(TEXT), version: 9 } });
for (const value of ["{", "[]", "null", '"text"', "{}", lockedBy("red"), lockedBy([5]), misled, newer, null, 7, { a: 1 }]) {
    test(`a saved value that cannot be used is shown and kept: ${String(value).slice(0, 30)}`, () => {
        const model = modelOf(TEXT);
        model.value = value;
        assert(model.unreadable.message);
        assert.equal(model.value, value);
        assert(!model.editable);
        model.takeNew();
        assert.equal(model.value, "");
        assert(model.editable);
    });
}

test("10,000 random sequences of edits: text and boxes agree, and undoing all is the start", () => {
    const words = ["a cat", "the old dog", "some <b>bold</b> words", "a, b", "", "an owl 🎈", "  two  stars ", "x<|y|>"];
    const scraps = ["(1,2),(3,4)", " and ", "<|box_end|>", "a fox (5,5),(90,90)", "\n", "(red)", ".", "🎈", "the "];
    let edits = 0;
    for (let seed = 0; seed < 10_000; seed += 1) {
        const random = seeded(seed);
        const below = (count) => Math.floor(random() * count);
        const pick = (list) => list[below(list.length)];
        const box = () => {
            const [x, y] = [below(998), below(998)];
            return [x, y, x + 1 + below(999 - x), y + 1 + below(999 - y)];
        };
        const color = () => pick(model.chain.regions)?.color ?? "red";
        const actions = [
            () => model.move(color(), box(), pick([null, "nudge"])),
            () => model.rename(color(), pick(words)),
            () => model.remove(color()),
            () => model.add(box(), pick(words)),
            () => model.duplicate(color()),
            () => model.toggleLock(color()),
            () => model.place(new Map([[color(), box()], [color(), box()]]), pick([null, "nudge"])),
            () => model.stack([color()], pick(["front", "back"])),
            () => {
                const { text } = model.draft ?? model.chain;
                const at = below(text.length + 1);
                model.write(text.slice(0, at) + pick(["", pick(scraps)]) + text.slice(at + below(4)));
            },
            () => model.writePrompt(pick(["a cat and the old dog", "two stars", "", "an owl"])),
            () => model.followPlan(random() < 0.5),
            () => model.seal(),
        ];
        const steps = [() => model.undo(), () => model.redo(), () => model.replan()];
        const model = modelOf(pick(VECTORS.parses).canonical);
        const start = model.chain;
        for (let length = 1 + below(12); length > 0; length -= 1) {
            const before = model.value;
            const action = pick(random() < 0.8 ? actions : steps);
            const locked = model.chain.regions.filter(({ color }) => actions.includes(action) && model.isLocked(color));
            try {
                action();
                edits += 1;
            } catch (error) {
                assert(error instanceof ChainError, error);
                assert.equal(model.value, before, "a refused edit changes nothing");
            }
            assertConsistent(model);
            for (const { color: name, phrase, box: corners } of locked) {
                if (model.isLocked(name)) assert.deepEqual([model.region(name).phrase, model.region(name).box], [phrase, corners]);
            }
        }
        const end = model.value;
        let undone = 0;
        for (; model.canUndo; undone += 1) model.undo();
        assert.equal(model.value, "");
        assert.deepEqual(model.chain, start);
        for (; undone > 0; undone -= 1) model.redo();
        assert.equal(model.value, end);
    }
    assert(edits > 40_000, `${edits} edits`);
});
