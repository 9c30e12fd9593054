/** Where the numbers of a training lie on the plot's axes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { lossRange, share, smoothed, ticks } from "../../web/training_plot/scale.js";
import { duration, statusText } from "../../web/training_plot/status.js";
import { EN } from "../../web/texts/en.js";

const STEPS = { low: 0, high: 400, logarithmic: false };

test("equal factors are equal ways for losses", () => {
    const range = lossRange([0.01, 1]);
    assert.equal(share(range, 0.01), 0);
    assert.ok(Math.abs(share(range, 0.1) - 0.5) < 1e-9);
    assert.equal(share(range, 1), 1);
});

test("no losses, one loss, zero and what is no number leave a range that can be drawn", () => {
    for (const values of [[], [0.5], [0], [0.5, 0.5], [Number.NaN, 2], [Infinity, 0]]) {
        const { low, high } = lossRange(values);
        assert.ok(low > 0 && high > low && high < Infinity, `${values}`);
    }
});

test("what lies outside is cut off", () => {
    assert.equal(share(STEPS, -5), 0);
    assert.equal(share(STEPS, 500), 1);
});

test("ticks are round, inside, and no more than there is room for", () => {
    assert.deepEqual(ticks(STEPS, 4), [0, 100, 200, 300, 400]);
    assert.deepEqual(ticks({ low: 0, high: 1, logarithmic: false }, 4), [0, 0.5, 1]);
    assert.deepEqual(ticks({ low: 0.009, high: 2, logarithmic: true }, 3), [0.01, 0.1, 1]);
    for (const count of [2, 4, 9]) assert.ok(ticks({ low: 0.003, high: 7, logarithmic: true }, count).length <= count + 2);
});

test("smoothing keeps a constant, the steps and the number of points", () => {
    const points = Array.from({ length: 300 }, (_, index) => [index + 1, 0.25]);
    for (const [index, [step, value]] of smoothed(points).entries()) {
        assert.equal(step, index + 1);
        assert.ok(Math.abs(value - 0.25) < 1e-9);
    }
    assert.deepEqual(smoothed([]), []);
});

test("smoothing takes the swing out of a curve", () => {
    const points = Array.from({ length: 200 }, (_, index) => [index, index % 2]);
    const last = smoothed(points).slice(100).map(([, value]) => value);
    assert.ok(last.every((value) => Math.abs(value - 0.5) < 0.1));
});

test("time is told in the unit that a person would use", () => {
    assert.deepEqual([5, 89, 120, 5399, 7260].map(duration), ["5 s", "89 s", "2 min", "1 h 30 min", "2 h 1 min"]);
});

test("a line says how far it is", () => {
    const report = { run: "a", step: 3, steps: 10, seconds_per_step: 2, curves: {}, samples: null };
    assert.equal(statusText({ ...report, state: "training" }, EN.training), "step 3 of 10 · 2.0 s per step · 14 s left");
    assert.equal(statusText({ ...report, state: "stopped" }, EN.training), "stopped · 3 of 10 steps · 2.0 s per step");
    assert.equal(statusText({ ...report, state: "done", seconds_per_step: null }, EN.training), "done · 10 steps");
    assert.equal(statusText({ ...report, state: "encoding 1 of 9 pictures", seconds_per_step: null }, EN.training), "encoding 1 of 9 pictures");
});
