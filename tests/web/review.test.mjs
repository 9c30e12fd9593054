/** The review of a dataset: which row comes next, what the server is told of one, and which keys count. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseChain } from "../../web/chain_editor/chain.js";
import { chainToJson } from "../../web/chain_editor/chain_json.js";
import { ChainModel } from "../../web/chain_editor/model.js";
import { isChanged, otherPrompts, saidNow } from "../../web/review/answers.js";
import { commandOf } from "../../web/review/keys.js";
import { Rows } from "../../web/review/rows.js";
import { Sitting } from "../../web/review/sitting.js";

const TEXT = "There is a red cup <|box_start|>(100,200),(400,500)<|box_end|> (red).";

function rowOf(image, { prompts = ["a red cup"], mended = false } = {}) {
    const chain = chainToJson(parseChain(TEXT, "generate", prompts[0] ?? ""));
    return { row: image, line: 0, image, source: null, prompts, chain, reasons: [], mended };
}

function modelOf(row) {
    const model = new ChainModel(() => {});
    model.open(row.chain, row.edit ?? "");
    return model;
}

function rowsOf(...images) {
    const rows = new Rows();
    rows.add({ rows: images.map((image) => rowOf(image)), total: images.length });
    return rows;
}

test("rows are stepped through in both directions, and not past their ends", () => {
    const rows = rowsOf("a", "b");
    rows.step(-1);
    assert.deepEqual([rows.current.image, rows.number, rows.next.image], ["a", 1, "b"]);
    rows.step(1);
    rows.step(1);
    rows.step(1);
    assert.equal(rows.current, undefined);
    rows.step(-1);
    assert.equal(rows.current.image, "b");
});

test("a row that is decided on goes, and the one after it comes", () => {
    const rows = rowsOf("a", "b", "c");
    rows.decide("accept", null);
    rows.step(1);
    rows.decide("reject", null);
    assert.deepEqual([rows.current, rows.total, rows.accepted, rows.rejected], [undefined, 1, 1, 1]);
    rows.step(-1);
    assert.equal(rows.current.image, "b");
});

test("a row that stays where it is after the decision is shown again as it has become", () => {
    const rows = rowsOf("a", "b");
    rows.decide("accept", rowOf("changed"));
    assert.deepEqual([rows.current.image, rows.total, rows.accepted], ["b", 2, 1]);
    rows.step(-1);
    assert.equal(rows.current.image, "changed");
});

test("a row that was decided on elsewhere is no decision of one's own", () => {
    const rows = rowsOf("a", "b");
    rows.drop();
    assert.deepEqual([rows.current.image, rows.total, rows.accepted, rows.rejected], ["b", 1, 0, 0]);
});

test("more rows are asked for behind the last one that is here, until there are none", () => {
    const rows = new Rows();
    rows.add({ rows: [rowOf("a"), rowOf("b")], total: 4 });
    assert.equal(rows.goesOn, false);
    rows.step(2);
    assert.equal(rows.goesOn, true);
    rows.add({ rows: [], total: 3 });  // somebody else has decided on them
    assert.deepEqual([rows.goesOn, rows.total], [false, 2]);
});

/** A sitting, what its server was asked, and how to have it answer the oldest question. */
function sittingAt(folder) {
    const asked = [];
    const failures = [];
    const host = {
        place: () => ({ folder: host.folder, rows: "doubtful" }),
        asked: (path, question) => new Promise((resolve) => asked.push({ path, question, resolve })),
        folder,
    };
    const sitting = new Sitting(host, (error) => failures.push(error));
    const answer = async (answered) => {
        asked.shift().resolve(answered);
        await new Promise(setImmediate);
    };
    return { sitting, host, asked, failures, answer };
}

const answerOf = (...images) => ({ rows: images.map((image) => rowOf(image)), total: images.length });

test("rows of a folder that was left while they were asked for are not shown", async () => {
    const { sitting, host, asked, failures, answer } = sittingAt("old");
    const old = sitting.open(host.place());
    assert.equal(sitting.waits, true);
    host.folder = "new";
    sitting.close();
    assert.equal(sitting.waits, false);
    const fresh = sitting.open(host.place());
    await answer(answerOf("old"));
    assert.deepEqual([await old, sitting.rows, sitting.waits], [false, null, true]);
    assert.equal(asked[0].question.folder, "new");
    await answer(answerOf("new"));
    assert.deepEqual([await fresh, sitting.rows.current.image, sitting.place.folder], [true, "new", "new"]);
    assert.deepEqual(failures, []);
});

test("rows are not shown either where nobody has said that the folder is another one", async () => {
    const { sitting, host, answer } = sittingAt("old");
    const old = sitting.open(host.place());
    host.folder = "new";  // as by undo
    await answer(answerOf("old"));
    assert.deepEqual([await old, sitting.rows], [false, null]);
});

test("an error about a folder that was left is of no interest", async () => {
    const { sitting, host, failures, answer } = sittingAt("old");
    const old = sitting.open(host.place());
    sitting.close();
    await answer({ error: "There is no such folder." });
    assert.deepEqual([await old, failures], [false, []]);
    sitting.open(host.place());
    await answer({ error: "There is no such folder." });
    sitting.open(host.place());
    await answer(null);
    assert.deepEqual([failures, sitting.waits], [["There is no such folder.", undefined], false]);
});

test("the answer to a decision says nothing about the rows that came after", async () => {
    const { sitting, host, asked, answer } = sittingAt("old");
    sitting.open(host.place());
    await answer(answerOf("a", "b"));
    const decided = sitting.decide("accept", { chain: null, prompts: null });
    assert.deepEqual(asked[0].question, {
        folder: "old", rows: "doubtful", row: "a", line: 0, decision: "accept", chain: null, prompts: null,
    });
    host.folder = "new";
    assert.equal(sitting.isElsewhere, true);
    sitting.close();
    sitting.open(host.place());
    await answer({ row: null, left_out: false });
    await answer(answerOf("c", "d"));
    assert.deepEqual([await decided, sitting.rows.current.image, sitting.rows.accepted], [null, "c", 0]);
    assert.equal(sitting.isElsewhere, false);
});

test("the next rows of a folder that was left are not added to others", async () => {
    const { sitting, host, answer } = sittingAt("old");
    sitting.open(host.place());
    await answer({ rows: [rowOf("a")], total: 2 });
    sitting.rows.step(1);
    const more = sitting.goOn();
    sitting.close();
    sitting.open(host.place());
    await answer(answerOf("b"));
    await answer(answerOf("c"));
    assert.deepEqual([await more, sitting.rows.current.image, sitting.rows.count], [false, "c", 1]);
    assert.equal(await sitting.goOn(), true);
});

test("an untouched row is accepted as it is, and one that was mended as it was mended", () => {
    const [row, mended] = [rowOf("a"), rowOf("a", { mended: true })];
    assert.deepEqual(saidNow(row, modelOf(row)), { chain: null, prompts: null });
    assert.deepEqual(saidNow(mended, modelOf(mended)), { chain: mended.chain, prompts: null });
});

test("a changed row says its new chain and all its prompts, which follow the plan", () => {
    const row = rowOf("a", { prompts: ["a red cup", "draw the red cup", "one red cup, please"] });
    const model = modelOf(row);
    model.rename("red", "a blue cup");
    assert.equal(isChanged(model), true);
    const { chain, prompts } = saidNow(row, model);
    assert.equal(chain.regions[0].phrase, "a blue cup");
    assert.deepEqual(prompts, ["a blue cup", "draw the blue cup", "one blue cup, please"]);
    model.undo();
    assert.equal(isChanged(model), false);
    assert.deepEqual(saidNow(row, model), { chain: null, prompts: null });
});

test("where the prompt does not follow the plan, the others do not either", () => {
    const row = rowOf("a", { prompts: ["a red cup", "draw the red cup"] });
    const model = modelOf(row);
    model.followPlan(false);
    model.rename("red", "a blue cup");
    assert.equal(otherPrompts(row, model), "draw the red cup");
});

test("other prompts count as they were typed, and an empty line is none", () => {
    const row = { ...rowOf("a", { prompts: ["a red cup", "one", "two"] }), others: "uno\n\n  \ndos\ntres" };
    assert.deepEqual(saidNow(row, modelOf(row)), { chain: null, prompts: ["a red cup", "uno", "dos", "tres"] });
    row.others = "";
    assert.deepEqual(saidNow(row, modelOf(row)).prompts, ["a red cup"]);
});

test("a box that is switched off changes a row", () => {
    const row = rowOf("a");
    const model = modelOf(row);
    model.describe(["red"], (detail) => ({ ...detail, on: false }));
    assert.equal(isChanged(model), true);
});

test("the next row knows nothing of the edits of the one before, nor of how to redo them", () => {
    const row = rowOf("a");
    const model = modelOf(row);
    model.move("red", [1, 2, 300, 400]);
    const begun = model.value;
    model.undo();
    model.open(rowOf("b").chain, "");
    assert.deepEqual([model.canUndo, model.canRedo, model.value, isChanged(model)], [false, false, "", false]);
    model.open(row.chain, begun);
    assert.deepEqual([...model.chain.regions[0].box], [1, 2, 300, 400]);
    model.rest("nothing here");
    assert.deepEqual([model.editable, model.blank, model.chain.regions.length], [false, true, 0]);
    assert.throws(() => model.write("a cat"));
});

test("a key decides once however long it is held, not while something is typed, and not with Ctrl", () => {
    const field = (typed) => ({ isContentEditable: false, matches: () => typed });
    const press = (key, more = {}) => commandOf({ key, target: field(false), ...more });
    assert.deepEqual(["a", "A", "x", "n", "b", "v", "o", "q", "Enter", "Escape"].map((key) => press(key)), [
        "accept", "accept", "reject", "next", "back", "turn", "open", null, null, null,
    ]);
    for (const more of [{ repeat: true }, { ctrlKey: true }, { metaKey: true }, { altKey: true }, { isComposing: true }]) {
        assert.equal(press("a", more), null);
    }
    for (const target of [field(true), { isContentEditable: true }]) {
        assert.equal(press("a", { target }), null);
        assert.equal(press("Escape", { target }), "leave");
    }
});

test("a prompt of several lines stays one prompt when its row is changed", () => {
    const row = rowOf("a", { prompts: ["a red cup", "a cup\r\n on a table", "one cup"] });
    const model = modelOf(row);
    assert.deepEqual(saidNow(row, model), { chain: null, prompts: null });
    row.others = "a cup on a table\na cup";
    assert.deepEqual(saidNow(row, model).prompts, ["a red cup", "a cup on a table", "a cup"]);
    row.others = undefined;
    model.rename("red", "a blue cup");
    assert.equal(saidNow(row, model).prompts.length, 3);
});
