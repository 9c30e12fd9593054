/**
 * The boxes over the picture. They are real elements, known by the colour of their region, and stay the same elements
 * from one drawing to the next.
 */

import { element, icon, setAttributes, shape } from "./elements.js";
import { HANDLES } from "./geometry.js";

/**
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./notation.js").Region} Region
 * @typedef {import("./geometry.js").Guide} Guide
 */

export class Boxes {
    /** @type {Map<string, SVGElement>} */
    #boxOf = new Map();
    /** @type {Map<string, HTMLElement>} */
    #labelOf = new Map();
    /** @type {SVGElement | undefined} the rectangle of a new box */
    #drawn;
    #groups = shape("g", {});
    #guides = shape("g", { class: "got-guides" });
    #handles = shape("g", { class: "got-handles" });

    constructor() {
        const attributes = { role: "group", "aria-label": "Boxes on the picture" };
        this.svg = shape("svg", attributes, this.#groups, this.#guides, this.#handles);
        this.labels = element("div", { class: "got-labels" });
    }

    /**
     * @param {readonly Region[]} regions
     * @param {(color: string) => boolean} isSelected
     * @param {(color: string) => boolean} isLocked
     */
    draw(regions, isSelected, isLocked) {
        this.#removeAllBut(regions);
        regions.forEach(({ phrase, box, color }, index) => {
            const [selected, locked] = [isSelected(color), isLocked(color)];
            const group = this.#boxOf.get(color) ?? newBox(color);
            this.#boxOf.set(color, group);
            const { children } = this.#groups;
            if (children[index] !== group) this.#groups.insertBefore(group, children[index] ?? null);
            group.dataset.phrase = phrase;
            group.setAttribute("aria-label", describe(phrase, box, color, locked));
            group.setAttribute("aria-pressed", String(selected));
            place(group, box);

            const label = this.#labelOf.get(color) ?? newLabel(color);
            this.#labelOf.set(color, label);
            if (!label.isConnected) this.labels.append(label);
            label.children[1].textContent = phrase || color;
            placeLabel(label, box);
            for (const drawn of [group, label]) {
                drawn.classList.toggle("got-selected", selected);
                drawn.classList.toggle("got-locked", locked);
            }
        });
    }

    /** @param {Region | null} region the one that can be pulled at */
    drawHandles(region) {
        if (!region) return this.#handles.replaceChildren();
        if (!this.#handles.firstChild) {
            const names = Object.keys(HANDLES);
            this.#handles.append(...names.map((name) => shape("circle", { "data-handle": name, r: "5" })));
        }
        this.#placeHandles(region.box);
    }

    /**
     * A box as it is being dragged.
     * @param {string} color
     * @param {Box} box
     * @param {readonly Guide[]} guides
     */
    preview(color, box, guides) {
        const group = this.#boxOf.get(color);
        if (group) place(group, box);
        const label = this.#labelOf.get(color);
        if (label) placeLabel(label, box);
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
     * The rectangle of a new box.
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
     * A field for new words, in the place of a box's label.
     * @param {Region} region
     */
    openRename({ phrase, box, color }) {
        const field = element("input", { type: "text", class: "got-rename", "aria-label": `New words for ${phrase}` });
        field.value = phrase;
        field.style.borderColor = color;
        placeLabel(field, box);
        this.labels.append(field);
        field.focus({ preventScroll: true });
        field.select();
        return field;
    }

    /** @param {readonly Region[]} regions */
    #removeAllBut(regions) {
        const colors = new Set(regions.map(({ color }) => color));
        for (const drawn of [this.#boxOf, this.#labelOf]) {
            for (const [color, old] of drawn) {
                if (colors.has(color)) continue;
                old.remove();
                drawn.delete(color);
            }
        }
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

/** @param {string} color */
function newBox(color) {
    const group = shape("g", { "data-testid": "got-box", "data-color": color, role: "button", tabindex: "0" });
    const inside = shape("rect", { class: "got-inside" });
    inside.style.fill = inside.style.stroke = color;
    group.append(shape("rect", { class: "got-outline" }), inside);
    return group;
}

/** @param {string} color */
function newLabel(color) {
    const label = element("div", { class: "got-label", "aria-hidden": "true" });
    const dot = element("span", { class: "got-dot" });
    dot.style.backgroundColor = color;
    label.append(dot, element("span", { class: "got-words" }), icon("lock"));
    return label;
}

/**
 * @param {SVGElement} group
 * @param {Box} box
 */
function place(group, box) {
    group.dataset.box = box.join(",");
    for (const rectangle of group.children) setAttributes(rectangle, frame(box));
}

/**
 * In the box's corner that leaves more room for words, and never off the picture.
 * @param {HTMLElement} label
 * @param {Box} box
 */
function placeLabel(label, [x1, y1, x2]) {
    const leftward = x1 + x2 > 1000;
    label.style.left = leftward ? "" : percent(x1);
    label.style.right = leftward ? percent(1000 - x2) : "";
    label.style.top = `min(${percent(y1)}, 100% - 28px)`;
    label.style.maxWidth = `calc(${percent(leftward ? x2 : 1000 - x1)} - 8px)`;
}

/** @param {Box} box */
function frame([x1, y1, x2, y2]) {
    return { x: percent(x1), y: percent(y1), width: percent(x2 - x1), height: percent(y2 - y1) };
}

/** @param {number} grid */
function percent(grid) {
    return `${grid / 10}%`;
}

/**
 * @param {string} phrase
 * @param {Box} box
 * @param {string} color
 * @param {boolean} locked
 */
function describe(phrase, [x1, y1, x2, y2], color, locked) {
    return `${phrase || "no words"}, ${color} box from ${x1}, ${y1} to ${x2}, ${y2}${locked ? ", locked" : ""}`;
}
