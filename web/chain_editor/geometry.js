/** Places on the picture: the grid of 0 to 999 and the screen, hits, moves and resizes, snapping. */

import { GRID } from "./notation.js";

/**
 * @typedef {import("./notation.js").Box} Box
 * @typedef {{x: number, y: number}} Point
 * @typedef {{left: number, top: number, width: number, height: number}} Rectangle
 *
 * Which edges of a box a handle pulls: -1 left or top, 1 right or bottom, 0 neither.
 * @typedef {{x: -1 | 0 | 1, y: -1 | 0 | 1}} Pull
 *
 * A line that a box has snapped to: `x` is upright, `y` is level.
 * @typedef {{axis: "x" | "y", at: number}} Guide
 */

const LAST = GRID - 1;
export const SMALLEST = 10;

/** @type {Readonly<Record<string, Pull>>} */
export const HANDLES = {
    nw: { x: -1, y: -1 }, n: { x: 0, y: -1 }, ne: { x: 1, y: -1 }, e: { x: 1, y: 0 },
    se: { x: 1, y: 1 }, s: { x: 0, y: 1 }, sw: { x: -1, y: 1 }, w: { x: -1, y: 0 },
};

/**
 * @param {Point} point on the screen
 * @param {Rectangle} canvas where the picture is on the screen
 * @returns {Point} on the grid, not rounded, perhaps off the picture
 */
export function toGrid({ x, y }, canvas) {
    return { x: ((x - canvas.left) * GRID) / canvas.width, y: ((y - canvas.top) * GRID) / canvas.height };
}

/**
 * @param {Point} point on the grid
 * @param {Rectangle} canvas where the picture is on the screen
 * @returns {Point} on the screen
 */
export function toScreen({ x, y }, canvas) {
    return { x: canvas.left + (x * canvas.width) / GRID, y: canvas.top + (y * canvas.height) / GRID };
}

/**
 * @template {{box: Box}} T
 * @param {readonly T[]} regions
 * @param {Point} point on the grid
 * @param {(region: T) => number} level how far in front a region lies
 * @returns {T[]} those that hold the point: the one in front first, and on one level the smallest
 */
export function hits(regions, { x, y }, level = () => 0) {
    return regions
        .filter(({ box: [x1, y1, x2, y2] }) => x1 <= x && x <= x2 && y1 <= y && y <= y2)
        .sort((first, second) => level(second) - level(first) || area(first.box) - area(second.box));
}

/**
 * @template {{box: Box}} T
 * @param {readonly T[]} regions
 * @param {Box} frame
 * @returns {T[]} those that lie wholly in the frame
 */
export function enclosed(regions, [left, top, right, bottom]) {
    return regions.filter(({ box: [x1, y1, x2, y2] }) => left <= x1 && x2 <= right && top <= y1 && y2 <= bottom);
}

/** @param {Box} box */
export function area([x1, y1, x2, y2]) {
    return (x2 - x1) * (y2 - y1);
}

/**
 * Whether one who reads from left to right and from top to bottom comes to a box before another one.
 * @param {Box} first
 * @param {Box} second
 */
export function isReadBefore(first, second) {
    const [x1, y1] = [first[0] + first[2], first[1] + first[3]];  // the centre, twice
    const [x2, y2] = [second[0] + second[2], second[1] + second[3]];
    if (y1 < 2 * second[1] || y2 > 2 * first[3]) return true;
    if (y2 < 2 * first[1] || y1 > 2 * second[3]) return false;
    return x1 < x2;
}

/**
 * The same size elsewhere, inside the picture.
 * @param {Box} box
 * @param {number} right
 * @param {number} down
 * @returns {Box}
 */
export function moved(box, right, down) {
    const [dx, dy] = within(box, right, down);
    const [x1, y1, x2, y2] = box;
    return [x1 + dx, y1 + dy, x2 + dx, y2 + dy];
}

/**
 * As far of the way as a box can go inside the picture, in whole steps of the grid.
 * @param {Box} box
 * @param {number} right
 * @param {number} down
 */
export function within([x1, y1, x2, y2], right, down) {
    return [clamp(Math.round(right), -x1, LAST - x2), clamp(Math.round(down), -y1, LAST - y2)];
}

/**
 * The box with the edges that a handle pulls moved, inside the picture and not smaller than it may be.
 * @param {Box} box
 * @param {Pull} pull
 * @param {number} right
 * @param {number} down
 * @returns {Box}
 */
export function resized([x1, y1, x2, y2], pull, right, down) {
    [x1, x2] = stretched(x1, x2, pull.x, right);
    [y1, y2] = stretched(y1, y2, pull.y, down);
    return [x1, y1, x2, y2];
}

/**
 * The box with another left edge, top edge, width or height, inside the picture.
 * @param {Box} box
 * @param {string} name x, y, w or h
 * @param {number} value
 */
export function withNumber(box, name, value) {
    const [x1, y1, x2, y2] = box;
    if (name === "x") return moved(box, value - x1, 0);
    if (name === "y") return moved(box, 0, value - y1);
    if (name === "w") return resized(box, HANDLES.e, value - (x2 - x1), 0);
    return resized(box, HANDLES.s, 0, value - (y2 - y1));
}

/**
 * The box between two corners; null if it is too small to be meant.
 * @param {Point} first
 * @param {Point} second
 * @returns {Box | null}
 */
export function boxBetween(first, second) {
    const [x1, x2] = [first.x, second.x].map((value) => clamp(Math.round(value), 0, LAST)).sort((a, b) => a - b);
    const [y1, y2] = [first.y, second.y].map((value) => clamp(Math.round(value), 0, LAST)).sort((a, b) => a - b);
    return x2 - x1 < SMALLEST || y2 - y1 < SMALLEST ? null : [x1, y1, x2, y2];
}

/**
 * How much further to go so that a box meets an edge or centre of the picture or of another box, and there the lines
 * that it meets.
 * @param {Box} box
 * @param {Pull | null} pull the edges that move; null: the whole box does
 * @param {readonly Box[]} others
 * @param {Point} reach how near is near, on the grid
 */
export function snap(box, pull, others, reach) {
    const [x1, y1, x2, y2] = box;
    const x = nearest(movingLines(x1, x2, pull?.x), lines(others.map((other) => [other[0], other[2]])), reach.x);
    const y = nearest(movingLines(y1, y2, pull?.y), lines(others.map((other) => [other[1], other[3]])), reach.y);
    /** @type {Guide[]} */
    const guides = [];
    if (x) guides.push({ axis: "x", at: x.at });
    if (y) guides.push({ axis: "y", at: y.at });
    return { right: x?.distance ?? 0, down: y?.distance ?? 0, guides };
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} side
 * @param {number} distance
 */
function stretched(low, high, side, distance) {
    const least = Math.min(SMALLEST, high - low);
    if (side < 0) low = clamp(Math.round(low + distance), 0, high - least);
    if (side > 0) high = clamp(Math.round(high + distance), low + least, LAST);
    return [low, high];
}

/**
 * @param {number} low
 * @param {number} high
 * @param {-1 | 0 | 1 | undefined} side
 */
function movingLines(low, high, side) {
    if (side === undefined) return [low, (low + high) / 2, high];
    return { "-1": [low], 0: [], 1: [high] }[side];
}

/** @param {number[][]} spans */
function lines(spans) {
    return [0, GRID / 2, LAST, ...spans.flatMap(([low, high]) => [low, (low + high) / 2, high])];
}

/**
 * @param {readonly number[]} moving
 * @param {readonly number[]} targets
 * @param {number} reach
 */
function nearest(moving, targets, reach) {
    /** @type {{distance: number, at: number} | null} */
    let best = null;
    for (const from of moving) {
        for (const at of targets) {
            const distance = at - from;
            if (Math.abs(distance) <= (best ? Math.abs(best.distance) - 1e-9 : reach)) best = { distance, at };
        }
    }
    return best;
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
    return Math.min(Math.max(value, low), high) + 0;  // + 0, because -0 is not 0
}
