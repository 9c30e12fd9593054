/**
 * The boxes over the picture. They are real elements, known by the colour of their region, and stay the same elements
 * from one drawing to the next.
 */

import { texts } from "../comfyui/language.js";
import { element, shape } from "./elements.js";
import { frame, newBox, newLabel, percent, place, widthsOf } from "./box_elements.js";
import { HANDLES } from "./geometry.js";
import { placeLabels } from "./labels.js";

/**
 * @typedef {import("./model.js").ChainModel} ChainModel
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./notation.js").Region} Region
 * @typedef {import("./geometry.js").Guide} Guide
 */

export class Boxes {
    /** @type {Map<string, SVGElement>} */
    #boxOf = new Map();
    /** @type {Map<string, HTMLElement>} */
    #labelOf = new Map();
    /** @type {readonly Region[]} as they are drawn */
    #regions = [];
    /** @type {readonly string[]} */
    #selected = [];
    /** @type {SVGElement | undefined} the rectangle of a new box, or around those to choose */
    #drawn;
    #size = { width: 0, height: 0 };
    /** @type {Map<string, import("./labels.js").Place>} where the labels stand */
    #placeOf = new Map();
    #groups = shape("g", {});
    #guides = shape("g", { class: "got-guides" });
    #handles = shape("g", { class: "got-handles" });
    #observer = new ResizeObserver(([{ contentRect }]) => {
        this.#size = { width: contentRect.width, height: contentRect.height };
        this.#placeLabels();
    });

    constructor() {
        const attributes = { role: "group", "aria-label": texts().editor.boxes };
        this.svg = shape("svg", attributes, this.#groups, this.#guides, this.#handles);
        this.labels = element("div", { class: "got-labels" });
        this.#observer.observe(this.labels);
    }

    /**
     * @param {ChainModel} model
     * @param {readonly string[]} selected colours of regions
     */
    draw(model, selected) {
        this.#regions = model.chain.regions;
        this.#selected = selected;
        this.#removeOthers();
        for (const [index, region] of this.#regions.entries()) this.#drawBox(region, index + 1, model.isLocked(region.color));
        for (const [index, { color }] of model.stacked.entries()) {
            const group = /** @type {SVGElement} */ (this.#boxOf.get(color));
            const { children } = this.#groups;
            if (children[index] !== group) this.#groups.insertBefore(group, children[index] ?? null);
        }
        this.#placeLabels();
        const single = selected.length === 1 ? model.region(selected[0]) : null;
        this.#drawHandles(single && model.editable && !model.isLocked(single.color) ? single : null);
    }

    /**
     * Boxes as they are being dragged.
     * @param {ReadonlyMap<string, Box>} boxes
     * @param {readonly Guide[]} guides
     */
    preview(boxes, guides) {
        this.#regions = this.#regions.map((region) => ({ ...region, box: boxes.get(region.color) ?? region.box }));
        for (const [color, box] of boxes) place(/** @type {SVGElement} */ (this.#boxOf.get(color)), box);
        this.#placeLabels(boxes);
        const [box] = boxes.values();
        this.#placeHandles(box);
        this.showGuides(guides);
    }

    /** @param {readonly Guide[]} guides */
    showGuides(guides) {
        this.#guides.replaceChildren(...guides.map(({ axis, at }) => shape("line", axis === "x"
            ? { x1: percent(at), x2: percent(at), y1: "0", y2: "100%" }
            : { y1: percent(at), y2: percent(at), x1: "0", x2: "100%" })));
    }

    /**
     * The rectangle of a new box, or around those that are to be chosen.
     * @param {Box | null} box
     */
    showDrawn(box) {
        this.#drawn?.remove();
        this.#drawn = box ? shape("rect", { class: "got-drawn", ...frame(box) }) : undefined;
        if (this.#drawn) this.svg.append(this.#drawn);
    }

    /** @param {string} color */
    focus(color) {
        this.#boxOf.get(color)?.focus({ preventScroll: true });
    }

    /**
     * Where a region's box is on the screen.
     * @param {string} color
     */
    screenOf(color) {
        return this.#boxOf.get(color)?.getBoundingClientRect();
    }

    /**
     * A field for new words, in the place of a box's label.
     * @param {Region} region
     */
    openRename({ phrase, color }) {
        const field = element("input", { type: "text", class: "got-rename", "aria-label": texts().editor.newWords(phrase) });
        const label = this.#labelOf.get(color);
        field.value = phrase;
        field.style.left = `min(${label?.style.left ?? 0}, 100% - 200px)`;
        field.style.top = `min(${label?.style.top ?? 0}, 100% - 28px)`;
        this.labels.append(field);
        field.focus({ preventScroll: true });
        field.select();
        return field;
    }

    dispose() {
        this.#observer.disconnect();
    }

    #removeOthers() {
        const colors = new Set(this.#regions.map(({ color }) => color));
        for (const drawn of [this.#boxOf, this.#labelOf]) {
            for (const [color, old] of drawn) {
                if (colors.has(color)) continue;
                old.remove();
                drawn.delete(color);
            }
        }
    }

    /**
     * @param {Region} region
     * @param {number} number
     * @param {boolean} locked
     */
    #drawBox({ phrase, box, color, detail }, number, locked) {
        const selected = this.#selected.includes(color);
        const group = this.#boxOf.get(color) ?? newBox(color);
        this.#boxOf.set(color, group);
        group.dataset.phrase = phrase;
        group.setAttribute("aria-label", describe(phrase, box, number, locked, !detail.on));
        group.setAttribute("aria-pressed", String(selected));
        place(group, box);

        const label = this.#labelOf.get(color) ?? newLabel();
        this.#labelOf.set(color, label);
        if (!label.isConnected) this.labels.append(label);
        label.children[0].textContent = String(number);
        label.children[1].textContent = `${phrase || texts().editor.noWords}${detail.text && ` \u201c${detail.text}\u201d`}`;
        for (const drawn of [group, label]) {
            drawn.classList.toggle("got-selected", selected);
            drawn.classList.toggle("got-locked", locked);
            drawn.classList.toggle("got-off", !detail.on);
        }
    }

    /** @param {ReadonlyMap<string, Box> | null} moving those whose labels go with them, while all others stay */
    #placeLabels(moving = null) {
        const { width, height } = this.#size;
        if (!width) return;
        const labels = this.#regions.map(({ color }) => /** @type {HTMLElement} */ (this.#labelOf.get(color)));
        const wanted = this.#regions.map(({ box: [x1, y1, x2, y2], color }, index) => ({
            box: { left: (x1 * width) / 1000, top: (y1 * height) / 1000, right: (x2 * width) / 1000, bottom: (y2 * height) / 1000 },
            ...widthsOf(labels[index], width),
            first: this.#selected.includes(color),
            kept: moving && !moving.has(color) ? this.#placeOf.get(color) ?? null : null,
        }));
        for (const [index, place] of placeLabels(wanted, this.#size).entries()) {
            const { style, classList } = labels[index];
            style.left = `${place.left}px`;
            style.top = `${place.top}px`;
            style.width = `${place.width}px`;
            classList.toggle("got-short", place.short);
            this.#placeOf.set(this.#regions[index].color, place);
        }
    }

    /** @param {Region | null} region the one that can be pulled at */
    #drawHandles(region) {
        if (!region) return this.#handles.replaceChildren();
        if (!this.#handles.firstChild) {
            const names = Object.keys(HANDLES);
            this.#handles.append(...names.map((name) => shape("circle", { "data-handle": name, r: "5" })));
        }
        this.#placeHandles(region.box);
    }

    /** @param {Box} box */
    #placeHandles([x1, y1, x2, y2]) {
        for (const handle of this.#handles.children) {
            const pull = HANDLES[handle.getAttribute("data-handle") ?? ""];
            handle.setAttribute("cx", percent((x1 + x2 + pull.x * (x2 - x1)) / 2));
            handle.setAttribute("cy", percent((y1 + y2 + pull.y * (y2 - y1)) / 2));
        }
    }
}

/**
 * @param {string} phrase
 * @param {Box} box
 * @param {number} number
 * @param {boolean} locked
 * @param {boolean} off
 */
function describe(phrase, [x1, y1, x2, y2], number, locked, off) {
    const { editor: say } = texts();
    return say.box(number, phrase || say.noWords, `${x1}, ${y1}`, `${x2}, ${y2}`, locked) + (off ? say.off : "");
}
