/** The place of the chosen box in numbers, and the commands that set boxes in line. */

import { texts } from "../comfyui/language.js";
import { element, iconButton } from "./elements.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

const FIELDS = /** @type {const} */ (["x", "y", "w", "h"]);
const ALIGN = /** @type {const} */ (["left", "center", "right", "top", "middle", "bottom"]);
const DISTRIBUTE = /** @type {const} */ (["across", "down"]);

export class Numbers {
    #say = texts().numbers;
    fields = FIELDS.map((name) => numberField(name, this.#say[name]));
    align = Object.fromEntries(ALIGN.map((name) => [name, iconButton(name, this.#say[name])]));
    distribute = Object.fromEntries(DISTRIBUTE.map((name) => [name, iconButton(name, this.#say[name])]));
    element;

    /** @param {HTMLElement} more a button next to the fields */
    constructor(more) {
        this.element = element(
            "div",
            { class: "got-numbers", role: "toolbar", "aria-label": this.#say.name },
            ...this.fields.map((field) => element("label", {}, field.name, field)), more,
            element("span", { class: "got-gap" }),
            ...Object.values(this.align), ...Object.values(this.distribute),
        );
    }

    /**
     * @param {ChainModel} model
     * @param {readonly string[]} selected colours of regions
     */
    draw(model, selected) {
        const region = selected.length === 1 ? model.region(selected[0]) : null;
        const movable = model.editable && selected.length > 0 && !selected.some((color) => model.isLocked(color));
        const [x1, y1, x2, y2] = region?.box ?? [0, 0, 0, 0];
        for (const [index, field] of this.fields.entries()) {
            field.disabled = !region || !movable;
            const value = region ? String([x1, y1, x2 - x1, y2 - y1][index]) : "";
            if (value === field.dataset.drawn) continue;  // what is being typed stays
            field.value = field.dataset.drawn = value;
        }
        for (const button of Object.values(this.align)) button.disabled = !movable;
        for (const button of Object.values(this.distribute)) button.disabled = !movable || selected.length < 3;
    }
}

/**
 * @param {string} name
 * @param {string} title
 */
function numberField(name, title) {
    return element("input", { type: "number", name, title, "aria-label": title, min: "0", max: "999", step: "1" });
}
