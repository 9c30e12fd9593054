import assert from "node:assert/strict";
import { test } from "node:test";

import { keep, withProperty } from "../../web/comfyui/kept.js";
import { plansFrom, PROPERTY } from "../../web/plan_view/saved.js";

const PLANS = [{ text: "a star (1,2),(3,4)", notes: [{ en: "a note", zh: "说明" }] }];
const node = (id, type = "GoTReason", properties = { other: 1 }) => ({ id, type, properties });
const WORKFLOW = {
    nodes: [node(1), node(7, "inner"), node(8, "lost")],
    definitions: {
        subgraphs: [
            { id: "inner", nodes: [node(1), node("2", "deeper")] },
            { id: "deeper", nodes: [node(1)] },
        ],
    },
};
const withPlans = (workflow, path, plans) => withProperty(workflow, path, PROPERTY, plans);
const holders = (workflow) => [workflow, ...workflow.definitions.subgraphs].map(
    ({ nodes }) => nodes.filter(({ properties }) => properties[PROPERTY]).map(({ id }) => id));

test("plans are put on the node that the server names, beside its other properties, in subgraphs too", () => {
    assert.deepEqual(holders(withPlans(WORKFLOW, "1", PLANS)), [[1], [], []]);
    assert.deepEqual(holders(withPlans(WORKFLOW, "7:1", PLANS)), [[], [1], []]);
    assert.deepEqual(holders(withPlans(WORKFLOW, "7:2:1", PLANS)), [[], [], [1]]);
    assert.deepEqual(withPlans(WORKFLOW, "1", PLANS).nodes[0].properties, { other: 1, [PROPERTY]: PLANS });
    assert.deepEqual(holders(WORKFLOW), [[], [], []], "the workflow itself stays as it was");
});

test("a node that is not there any more gets nothing", () => {
    for (const path of ["", "9", "8:1", "7:9", "1:1", "7:2:1:1", "9:9:9"]) {
        assert.equal(withPlans(WORKFLOW, path, PLANS), WORKFLOW, path);
    }
    assert.deepEqual(withPlans({}, "1", PLANS), {});
});

test("plans come back as they were kept", () => {
    assert.deepEqual(plansFrom(JSON.parse(JSON.stringify(PLANS))), PLANS);
});

test("of what else a workflow may hold in their place, only texts are taken", () => {
    const strange = [undefined, null, 7, "text", {}, { length: 3 }, [null, 7, "text", [], {}, { text: 7 }, { text: ["a"] }]];
    for (const value of strange) assert.deepEqual(plansFrom(value), []);
    const notes = [null, "note", {}, { en: 7 }, { zh: "说明" }, { en: "kept", zh: 7, de: {} }];
    assert.deepEqual(plansFrom([{ text: "a star", notes, html: "<b>" }]), [{ text: "a star", notes: [{ en: "kept" }] }]);
    assert.deepEqual(plansFrom([{ text: "a star", notes: "none" }]), [{ text: "a star", notes: [] }]);
    assert.deepEqual(plansFrom([{ text: "a".repeat(2_000_000) }]), []);
    assert.equal(plansFrom(Array(1000).fill({ text: "a star" })).length, 64);
});

test("what is kept is in the workflow and in each step of its undo, and is no step itself", () => {
    let told = 0;
    const tracker = { activeState: WORKFLOW, undoQueue: [WORKFLOW, {}], redoQueue: [WORKFLOW], updateModified: () => (told += 1) };
    for (const expected of [1, 1]) {
        keep({ changeTracker: tracker }, "7:1", PROPERTY, PLANS);
        const states = [tracker.activeState, tracker.undoQueue[0], tracker.redoQueue[0]];
        assert.deepEqual(states.map(holders), [[[], [1], []], [[], [1], []], [[], [1], []]]);
        assert.equal(tracker.undoQueue.length + tracker.redoQueue.length, 3);
        assert.equal(told, expected, "what was there already changes nothing");
    }
    keep({}, "1", PROPERTY, PLANS);
});
