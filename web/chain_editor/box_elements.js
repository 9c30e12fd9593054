/** The elements of one box: its outline over the picture, and its label. */

import { element, icon, setAttributes, shape } from "./elements.js";

/** @typedef {import("./notation.js").Box} Box */

// As in style.css.
const FONT = "12px Inter, system-ui, sans-serif";
const PADDING = 6;
const BETWEEN = 5;
const LOCK = 12;
const LONGEST = 0.45;  // of the picture's width

/** @type {CanvasRenderingContext2D | null} */
let measuring = null;

/** @param {string} color */
export function newBox(color) {
    const inside = shape("rect", { class: "got-inside" });
    inside.style.stroke = color;
    const attributes = { "data-testid": "got-box", "data-color": color, role: "button", tabindex: "0" };
    return shape("g", attributes, shape("rect", { class: "got-halo" }), shape("rect", { class: "got-outline" }), inside);
}

export function newLabel() {
    const [number, words] = [element("b", {}), element("span", { class: "got-words" })];
    return element("div", { class: "got-label", "aria-hidden": "true" }, number, words, icon("lock"));
}

/**
 * @param {SVGElement} group
 * @param {Box} box
 */
export function place(group, box) {
    group.dataset.box = box.join(",");
    for (const rectangle of group.children) setAttributes(rectangle, frame(box));
}

/** @param {Box} box */
export function frame([x1, y1, x2, y2]) {
    return { x: percent(x1), y: percent(y1), width: percent(x2 - x1), height: percent(y2 - y1) };
}

/** @param {number} grid */
export function percent(grid) {
    return `${grid / 10}%`;
}

/**
 * How wide a label is with its words, and with its number alone.
 * @param {HTMLElement} label
 * @param {number} picture its width in pixels
 */
export function widthsOf(label, picture) {
    const [number, words] = [label.children[0].textContent ?? "", label.children[1].textContent ?? ""];
    const short = 2 * PADDING + textWidth(`bold ${FONT}`, number) + (label.classList.contains("got-locked") ? BETWEEN + LOCK : 0);
    const full = Math.min(short + BETWEEN + textWidth(FONT, words), Math.max(picture * LONGEST, 100));
    return { full: Math.ceil(full), short: Math.ceil(short) };
}

/**
 * @param {string} font
 * @param {string} text
 */
function textWidth(font, text) {
    measuring ??= /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
    measuring.font = font;
    return measuring.measureText(text).width;
}
