/** The curves of a training, drawn on a canvas. */

import { lossRange, share, smoothed, ticks } from "./scale.js";

/**
 * @typedef {readonly (readonly [number, number])[]} Points steps and values
 * @typedef {{chain: Points, diffusion: Points, layout_iou: Points}} Curves
 * @typedef {import("./scale.js").Range} Range
 *
 * The rectangle inside the axes, what they span, where the steps' numbers stand, and where values lie.
 * @typedef {{
 *     inner: {width: number, height: number}, across: Range, losses: Range, bottom: number,
 *     x: (step: number) => number, y: (range: Range, value: number) => number,
 * }} Frame
 */

/** Which of the texts names each; colours that also a colour-blind eye tells apart on dark and on bright ground. */
export const CURVES = /** @type {const} */ ({
    chain: { text: "chain", color: "#4a9eff" },
    diffusion: { text: "diffusion", color: "#ff9f43" },
    layout_iou: { text: "iou", color: "#3fbf7f" },
});
const LOSSES = /** @type {const} */ (["chain", "diffusion"]);
const IOU = { low: 0, high: 1, logarithmic: false };
const MARGIN = { left: 44, right: 34, top: 8, bottom: 20 };
const FONT = "11px Inter, system-ui, sans-serif";

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Curves} curves
 * @param {number} steps of the whole training
 */
export function drawPlot(canvas, curves, steps) {
    const { clientWidth: width, clientHeight: height } = canvas;
    const pen = canvas.getContext("2d");
    if (!pen || !width || !height) return;
    canvas.width = width * devicePixelRatio;
    canvas.height = height * devicePixelRatio;
    pen.scale(devicePixelRatio, devicePixelRatio);
    pen.font = FONT;
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    const across = { low: 0, high: Math.max(1, steps), logarithmic: false };
    const losses = lossRange(LOSSES.flatMap((name) => curves[name].map(([, value]) => value)));
    /** @type {Frame} */
    const frame = {
        inner, across, losses, bottom: height - MARGIN.bottom / 2,
        x: (step) => MARGIN.left + share(across, step) * inner.width,
        y: (range, value) => MARGIN.top + (1 - share(range, value)) * inner.height,
    };
    drawAxes(pen, frame, getComputedStyle(canvas).color);
    drawCurves(pen, frame, curves);
}

/**
 * Losses on the left, the layout's IoU on the right, steps below.
 * @param {CanvasRenderingContext2D} pen
 * @param {Frame} frame
 * @param {string} ink
 */
function drawAxes(pen, { inner, across, losses, bottom, x, y }, ink) {
    pen.fillStyle = pen.strokeStyle = ink;
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    for (const value of ticks(losses, Math.max(2, inner.height / 36))) {
        pen.globalAlpha = 0.12;
        line(pen, [[MARGIN.left, y(losses, value)], [MARGIN.left + inner.width, y(losses, value)]]);
        pen.globalAlpha = 0.7;
        pen.textAlign = "right";
        pen.fillText(String(value), MARGIN.left - 6, y(losses, value));
    }
    pen.textAlign = "left";
    for (const value of ticks(IOU, 4)) {
        pen.fillStyle = CURVES.layout_iou.color;
        pen.fillText(String(value), MARGIN.left + inner.width + 6, y(IOU, value));
    }
    pen.fillStyle = ink;
    pen.textAlign = "center";
    for (const value of ticks(across, Math.max(2, inner.width / 70))) pen.fillText(String(value), x(value), bottom);
    pen.globalAlpha = 0.3;
    pen.strokeRect(MARGIN.left, MARGIN.top, inner.width, inner.height);
}

/**
 * The losses as they are, and where they go; the layout's IoU wherever it was measured.
 * @param {CanvasRenderingContext2D} pen
 * @param {Frame} frame
 * @param {Curves} curves
 */
function drawCurves(pen, { losses, x, y }, curves) {
    for (const name of LOSSES) {
        pen.strokeStyle = CURVES[name].color;
        for (const [points, alpha, thickness] of /** @type {const} */ ([
            [curves[name], 0.3, 1],
            [smoothed(curves[name]), 1, 2],
        ])) {
            pen.globalAlpha = alpha;
            pen.lineWidth = thickness;
            line(pen, points.map(([step, value]) => [x(step), y(losses, value)]));
        }
    }
    pen.globalAlpha = 1;
    pen.lineWidth = 2;
    pen.fillStyle = pen.strokeStyle = CURVES.layout_iou.color;
    const seen = curves.layout_iou.map(([step, value]) => /** @type {const} */ ([x(step), y(IOU, value)]));
    line(pen, seen);
    for (const [left, top] of seen) {
        pen.beginPath();
        pen.arc(left, top, 3.5, 0, 2 * Math.PI);
        pen.fill();
    }
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Points} points in pixels
 */
function line(pen, points) {
    pen.beginPath();
    for (const [left, top] of points) pen.lineTo(left, top);
    pen.stroke();
}
