/** Places on the picture. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
    boxBetween, enclosed, HANDLES, hits, moved, resized, SMALLEST, snap, toGrid, toScreen, withNumber,
} from "../../web/chain_editor/geometry.js";
import { seeded } from "./random.mjs";

const CANVAS = { left: 30, top: 40, width: 500, height: 250 };
const REACH = { x: 8, y: 8 };

test("corners and middle of the canvas", () => {
    assert.deepEqual(toGrid({ x: 30, y: 40 }, CANVAS), { x: 0, y: 0 });
    assert.deepEqual(toGrid({ x: 530, y: 290 }, CANVAS), { x: 1000, y: 1000 });
    assert.deepEqual(toScreen({ x: 500, y: 500 }, CANVAS), { x: 280, y: 165 });
});

test("from the grid to the screen and back", () => {
    const random = seeded(1);
    for (let count = 0; count < 1000; count += 1) {
        const canvas = { left: random() * 900, top: random() * 900, width: 1 + random() * 2000, height: 1 + random() * 2000 };
        const point = { x: Math.floor(random() * 1000), y: Math.floor(random() * 1000) };
        const back = toGrid(toScreen(point, canvas), canvas);
        assert.deepEqual({ x: Math.round(back.x), y: Math.round(back.y) }, point);
    }
});

test("of several boxes under the pointer the smallest is first", () => {
    const regions = [{ box: [0, 0, 900, 900] }, { box: [100, 100, 300, 300] }, { box: [200, 200, 800, 800] }];
    assert.deepEqual(hits(regions, { x: 250, y: 250 }), [regions[1], regions[2], regions[0]]);
    assert.deepEqual(hits(regions, { x: 950, y: 950 }), []);
    const level = (region) => (region === regions[0] ? 1 : 0);
    assert.equal(hits(regions, { x: 250, y: 250 }, level)[0], regions[0], "unless another was put in front");
});

test("a rectangle chooses the boxes that it encloses", () => {
    const regions = [{ box: [0, 0, 900, 900] }, { box: [100, 100, 300, 300] }];
    assert.deepEqual(enclosed(regions, [50, 50, 300, 300]), [regions[1]]);
});

test("a number moves a box or changes its size, inside the picture", () => {
    const box = [100, 200, 300, 500];
    assert.deepEqual(withNumber(box, "x", 50), [50, 200, 250, 500]);
    assert.deepEqual(withNumber(box, "y", 5000), [100, 699, 300, 999]);
    assert.deepEqual(withNumber(box, "w", 20), [100, 200, 120, 500]);
    assert.deepEqual(withNumber(box, "h", -7), [100, 200, 300, 200 + SMALLEST]);
    assert.deepEqual(withNumber(box, "w", 20.4), [100, 200, 120, 500]);
});

test("a box keeps its size and stays in the picture", () => {
    assert.deepEqual(moved([100, 100, 300, 400], 50.4, -20), [150, 80, 350, 380]);
    assert.deepEqual(moved([100, 100, 300, 400], -5000, 5000), [0, 699, 200, 999]);
});

test("each handle pulls its own edges", () => {
    const after = (handle) => resized([100, 100, 300, 400], HANDLES[handle], 10, 20);
    assert.deepEqual(after("nw"), [110, 120, 300, 400]);
    assert.deepEqual(after("n"), [100, 120, 300, 400]);
    assert.deepEqual(after("ne"), [100, 120, 310, 400]);
    assert.deepEqual(after("e"), [100, 100, 310, 400]);
    assert.deepEqual(after("se"), [100, 100, 310, 420]);
    assert.deepEqual(after("s"), [100, 100, 300, 420]);
    assert.deepEqual(after("sw"), [110, 100, 300, 420]);
    assert.deepEqual(after("w"), [110, 100, 300, 400]);
});

test("moves and resizes give a box whatever happens", () => {
    const random = seeded(2);
    const any = () => (random() - 0.5) * 4000;
    for (let count = 0; count < 5000; count += 1) {
        const [x, y] = [Math.floor(random() * 998), Math.floor(random() * 998)];
        const box = [x, y, x + 1 + Math.floor(random() * (999 - x)), y + 1 + Math.floor(random() * (999 - y))];
        for (const [x1, y1, x2, y2] of [
            moved(box, any(), any()),
            ...Object.values(HANDLES).map((pull) => resized(box, pull, any(), any())),
        ]) {
            assert(Number.isInteger(x1 + y1 + x2 + y2) && 0 <= x1 && x1 < x2 && x2 <= 999 && 0 <= y1 && y1 < y2 && y2 <= 999);
        }
    }
});

test("a resized box does not vanish", () => {
    assert.deepEqual(resized([100, 100, 300, 400], HANDLES.w, 500, 0), [300 - SMALLEST, 100, 300, 400]);
    assert.deepEqual(resized([100, 100, 103, 400], HANDLES.e, -500, 0), [100, 100, 103, 400]);
});

test("a new box is drawn from any corner, if it is large enough to be meant", () => {
    assert.deepEqual(boxBetween({ x: 300, y: 50 }, { x: 100.4, y: -30 }), [100, 0, 300, 50]);
    assert.equal(boxBetween({ x: 300, y: 300 }, { x: 305, y: 600 }), null);
});

test("a moved box snaps to the picture and to other boxes", () => {
    assert.deepEqual(snap([3, 100, 203, 200], null, [], REACH), { right: -3, down: 0, guides: [{ axis: "x", at: 0 }] });
    assert.deepEqual(snap([398, 400, 598, 590], null, [], REACH), {
        right: 2, down: 5, guides: [{ axis: "x", at: 500 }, { axis: "y", at: 500 }],
    });
    assert.deepEqual(snap([305, 610, 405, 700], null, [[100, 100, 300, 200]], REACH), {
        right: -5, down: 0, guides: [{ axis: "x", at: 300 }],
    });
});

test("only the edges that are pulled snap", () => {
    assert.deepEqual(snap([3, 100, 203, 200], HANDLES.e, [], REACH), { right: 0, down: 0, guides: [] });
    assert.equal(snap([3, 100, 495, 200], HANDLES.e, [], REACH).right, 5);
});
