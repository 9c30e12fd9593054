import assert from "node:assert/strict";
import { test } from "node:test";

import { hasOwnSettings, ownSetting } from "../../web/own_settings.js";

const SETTINGS = {
    generate: { steps: 50, semantic: 3, spatial: 0, width: 128, max_new_tokens: 384, temperature: 0, speed: "fast" },
    edit: { steps: 20, semantic: 7.5, speed: "exact" },
};
const own = (kind, widget, value, task = "generate", others = {}) =>
    ownSetting(kind, widget, value, SETTINGS, task, others);

test("a value that means the checkpoint's own setting stands for that of the task", () => {
    assert.equal(own("GoTSweep", "semantic_scale", -1), 3);
    assert.equal(own("GoTGuider", "semantic_scale", -1, "edit"), 7.5);
    assert.equal(own("GoTConverse", "spatial_scale", -1), 0);
    assert.equal(own("GoTSSGMEncode", "width", 0), 128);
    assert.equal(own("GoTReason", "max_new_tokens", 0), 384);
    assert.equal(own("GoTReason", "temperature", -1), 0);
});

test("steps, scheduler and speed stand for what the server would choose", () => {
    for (const [steps, scheduler, speed, expected] of [
        [0, "auto", "auto", [8, "euler", "fast"]],
        [0, "auto", "exact", [50, "ddpm", null]],
        [0, "auto", "fastest", [4, "euler", null]],
        [0, "ddpm", "auto", [50, null, null]],
        [20, "auto", "auto", [null, "euler", null]],
    ]) {
        const others = { steps, scheduler, speed };
        const shown = Object.entries(others).map(([name, value]) => own("GoTSampler", name, value, "generate", others));
        assert.deepEqual(shown, expected, JSON.stringify(others));
    }
    assert.equal(own("GoTSampler", "steps", 0, "edit"), 20);
    assert.equal(own("GoTSweep", "scheduler", "auto", "edit"), "ddpm");
});

test("every other value stands for itself", () => {
    for (const [kind, widget, value] of [
        ["GoTSampler", "steps", 8], ["GoTSampler", "semantic_scale", 0], ["GoTReason", "temperature", 0],
        ["GoTSampler", "seed", 0], ["GoTReason", "seed", 0], ["GoTDataset", "width", 0], ["GoTSampler", "steps", "0"],
    ]) assert.equal(own(kind, widget, value), null, `${kind} ${widget}`);
});

test("what the server does not tell, or tells strangely, is not shown", () => {
    assert.equal(ownSetting("GoTSampler", "steps", 0, null, "generate"), null);
    assert.equal(own("GoTSampler", "steps", 0, "toString"), null);
    assert.equal(own("GoTSSGMEncode", "height", 0), null);
    for (const steps of ["<b>", NaN, {}, null]) {
        assert.equal(ownSetting("GoTSampler", "steps", 0, { generate: { steps } }, "generate"), null);
    }
    assert.ok(!hasOwnSettings("toString"));
});
