/** What can be done to a box, as buttons, and the choice of what lies behind the boxes. */

import { element, iconButton } from "./elements.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

const TOOLS = /** @type {const} */ ([
    ["undo", "Undo (Ctrl+Z)"],
    ["redo", "Redo (Ctrl+Y)"],
    ["add", "Add a box, or draw one on the picture"],
    ["rename", "Rename the box (Enter)"],
    ["lock", "Lock the box: it stays as it is (L)"],
    ["duplicate", "Duplicate the box (Ctrl+D)"],
    ["remove", "Remove the box (Delete)"],
]);
const BACKGROUNDS = [["generated", "Last picture"], ["reference", "Reference"], ["black", "Black"]];

export class Toolbar {
    /** @type {Record<string, HTMLButtonElement>} by the tool's name */
    tools = Object.fromEntries(TOOLS.map(([name, title]) => [name, iconButton(name, title)]));
    background = element(
        "select",
        { "aria-label": "Background", title: "What lies behind the boxes" },
        ...BACKGROUNDS.map(([value, label]) => element("option", { value }, label)),
    );
    opacity = element("input", {
        type: "range", min: "0", max: "100", value: "70", title: "How visible the background is",
        "aria-label": "Opacity of the background",
    });
    element = element(
        "div",
        { class: "got-toolbar", role: "toolbar", "aria-label": "Boxes" },
        ...Object.values(this.tools), element("span", { class: "got-gap" }), this.background, this.opacity,
    );

    /**
     * @param {ChainModel} model
     * @param {string | null} selected a region's colour
     */
    draw(model, selected) {
        const { tools } = this;
        const { editable } = model;
        const region = model.region(selected);
        const locked = selected !== null && model.isLocked(selected);
        tools.undo.disabled = !model.canUndo || !editable;
        tools.redo.disabled = !model.canRedo || !editable;
        tools.add.disabled = !editable;
        tools.lock.setAttribute("aria-pressed", String(locked));
        for (const name of ["rename", "lock", "duplicate", "remove"]) tools[name].disabled = !region || !editable;
        for (const name of ["rename", "remove"]) tools[name].disabled ||= locked;
    }
}
