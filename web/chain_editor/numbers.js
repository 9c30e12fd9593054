/** The place of the chosen box in numbers, and the commands that set boxes in line. */

import { element, iconButton } from "./elements.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

const FIELDS = /** @type {const} */ ([
    ["x", "Left edge, in thousandths of the picture's width"],
    ["y", "Top edge, in thousandths of the picture's height"],
    ["w", "Width, in thousandths of the picture's width"],
    ["h", "Height, in thousandths of the picture's height"],
]);
const ALIGN = /** @type {const} */ ([
    ["left", "Align left edges"],
    ["center", "Align centres"],
    ["right", "Align right edges"],
    ["top", "Align top edges"],
    ["middle", "Align middles"],
    ["bottom", "Align bottom edges"],
]);
const DISTRIBUTE = /** @type {const} */ ([
    ["across", "Equal gaps from left to right, for three boxes or more"],
    ["down", "Equal gaps from top to bottom, for three boxes or more"],
]);

export class Numbers {
    fields = FIELDS.map(([name, title]) => numberField(name, title));
    align = Object.fromEntries(ALIGN.map(([name, title]) => [name, iconButton(name, title)]));
    distribute = Object.fromEntries(DISTRIBUTE.map(([name, title]) => [name, iconButton(name, title)]));
    element = element(
        "div",
        { class: "got-numbers", role: "toolbar", "aria-label": "Place of the box" },
        ...this.fields.map((field) => element("label", {}, field.name, field)),
        element("span", { class: "got-gap" }),
        ...Object.values(this.align), ...Object.values(this.distribute),
    );

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
