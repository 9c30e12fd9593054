/** Several boxes set in line, or with equal gaps between them. */

import { GRID } from "./notation.js";

/** @typedef {import("./notation.js").Box} Box */

const LAST = GRID - 1;
/** @type {Box} */
const PICTURE = [0, 0, LAST, LAST];

/**
 * For each edge or middle: where a box begins on its axis so that it meets that of a frame.
 * @type {Readonly<Record<string, {axis: 0 | 1, start: (low: number, high: number, size: number) => number}>>}
 */
const EDGES = {
    left: { axis: 0, start: (low) => low },
    center: { axis: 0, start: (low, high, size) => (low + high - size) / 2 },
    right: { axis: 0, start: (_, high, size) => high - size },
    top: { axis: 1, start: (low) => low },
    middle: { axis: 1, start: (low, high, size) => (low + high - size) / 2 },
    bottom: { axis: 1, start: (_, high, size) => high - size },
};

/**
 * The boxes with one edge or middle in line: of all that they span; a single one's with the picture.
 * @param {readonly Box[]} boxes
 * @param {string} edge
 * @returns {Box[]}
 */
export function aligned(boxes, edge) {
    const frame = boxes.length > 1 ? span(boxes) : PICTURE;
    const { axis, start } = EDGES[edge];
    return boxes.map((box) => at(box, axis, start(frame[axis], frame[axis + 2], box[axis + 2] - box[axis])));
}

/**
 * The boxes with equal gaps between them along one axis; the outermost two stay.
 * @param {readonly Box[]} boxes
 * @param {0 | 1} axis 0: from left to right, 1: from top to bottom
 * @returns {Box[]} in the order of `boxes`
 */
export function distributed(boxes, axis) {
    if (boxes.length < 3) return [...boxes];
    const sorted = boxes.toSorted((first, second) => first[axis] + first[axis + 2] - second[axis] - second[axis + 2]);
    const [low, high] = [sorted[0][axis], sorted[sorted.length - 1][axis + 2]];
    const filled = boxes.reduce((sum, box) => sum + box[axis + 2] - box[axis], 0);
    const gap = (high - low - filled) / (boxes.length - 1);
    /** @type {Map<Box, Box>} */
    const placed = new Map();
    let next = low;
    for (const box of sorted) {
        placed.set(box, at(box, axis, next));
        next += box[axis + 2] - box[axis] + gap;
    }
    return boxes.map((box) => placed.get(box) ?? box);
}

/**
 * What all boxes together span.
 * @param {readonly Box[]} boxes
 * @returns {Box}
 */
export function span(boxes) {
    const edges = (/** @type {number} */ index) => boxes.map((box) => box[index]);
    return [Math.min(...edges(0)), Math.min(...edges(1)), Math.max(...edges(2)), Math.max(...edges(3))];
}

/**
 * The box beginning elsewhere on one axis, inside the picture.
 * @param {Box} box
 * @param {0 | 1} axis
 * @param {number} start
 * @returns {Box}
 */
function at([x1, y1, x2, y2], axis, start) {
    const size = axis === 0 ? x2 - x1 : y2 - y1;
    const low = Math.min(Math.max(Math.round(start), 0), LAST - size);
    return axis === 0 ? [low, y1, low + size, y2] : [x1, low, x2, low + size];
}
