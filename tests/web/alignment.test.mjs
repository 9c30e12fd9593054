/** Boxes in line, and with equal gaps. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { aligned, distributed } from "../../web/chain_editor/alignment.js";
import { seeded } from "./random.mjs";

const BOXES = [[100, 100, 300, 200], [400, 300, 500, 700], [600, 50, 900, 150]];

test("edges and middles of several boxes meet those of all that they span", () => {
    const after = (edge, index) => aligned(BOXES, edge).map((box) => box[index]);
    assert.deepEqual(after("left", 0), [100, 100, 100]);
    assert.deepEqual(after("right", 2), [900, 900, 900]);
    assert.deepEqual(after("top", 1), [50, 50, 50]);
    assert.deepEqual(after("bottom", 3), [700, 700, 700]);
    assert.deepEqual(aligned(BOXES, "center").map(([x1, , x2]) => (x1 + x2) / 2), [500, 500, 500]);
    assert.deepEqual(aligned(BOXES, "middle").map(([, y1, , y2]) => (y1 + y2) / 2), [375, 375, 375]);
});

test("a single box is set in line with the picture", () => {
    assert.deepEqual(aligned([BOXES[0]], "right"), [[799, 100, 999, 200]]);
    assert.deepEqual(aligned([BOXES[0]], "middle"), [[100, 450, 300, 550]]);
});

test("the gaps between three boxes become equal, whatever their order", () => {
    assert.deepEqual(distributed([BOXES[2], BOXES[0], BOXES[1]], 0), [BOXES[2], BOXES[0], [400, 300, 500, 700]]);
    const [, second] = distributed([BOXES[0], [310, 300, 410, 700], BOXES[2]], 0);
    assert.deepEqual(second, [400, 300, 500, 700]);
    assert.deepEqual(distributed(BOXES.slice(1), 1), BOXES.slice(1), "two have but one gap");
});

test("sizes stay, and no box leaves the picture", () => {
    const random = seeded(3);
    const below = (count) => Math.floor(random() * count);
    const any = () => {
        const [x, y] = [below(998), below(998)];
        return [x, y, x + 1 + below(999 - x), y + 1 + below(999 - y)];
    };
    for (let count = 0; count < 2000; count += 1) {
        const boxes = Array.from({ length: 1 + below(6) }, any);
        const results = [
            ...["left", "center", "right", "top", "middle", "bottom"].map((edge) => aligned(boxes, edge)),
            distributed(boxes, 0), distributed(boxes, 1),
        ];
        for (const result of results) {
            result.forEach(([x1, y1, x2, y2], index) => {
                const [left, top, right, bottom] = boxes[index];
                assert.deepEqual([x2 - x1, y2 - y1], [right - left, bottom - top]);
                assert([x1, y1, x2, y2].every((value) => Number.isInteger(value) && value >= 0 && value <= 999));
            });
        }
    }
});
