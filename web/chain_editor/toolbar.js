/** What can be done to a box, as buttons, and the choice of what lies behind the boxes. */

import { element, icon, iconButton, setAttributes } from "./elements.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

const TOOLS = /** @type {const} */ ([
    ["undo", "Undo (Ctrl+Z)"],
    ["redo", "Redo (Ctrl+Y)"],
    ["add", "Add a box, or draw one on the picture"],
    ["rename", "Rename the box (Enter)"],
    ["lock", "Lock the box: it stays as it is (L)"],
    ["duplicate", "Duplicate the box (Ctrl+D)"],
    ["remove", "Remove the box (Delete)"],
    ["more", "More for the box (right click, or Shift+F10)"],
]);
const LARGE = "Large view, over the whole window";
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
    large = iconButton("large", LARGE);
    element = element(
        "div",
        { class: "got-toolbar", role: "toolbar", "aria-label": "Boxes" },
        ...Object.values(this.tools), element("span", { class: "got-gap" }), this.background, this.opacity, this.large,
    );

    constructor() {
        this.tools.more.setAttribute("aria-haspopup", "menu");
    }

    /** @param {boolean} open */
    showLarge(open) {
        const title = open ? "Back to the node (Escape)" : LARGE;
        this.large.replaceChildren(open ? "Close" : icon("large"));
        setAttributes(this.large, { title, "aria-label": title });
        this.large.focus({ preventScroll: true });  // what is moved in the page loses the focus
    }

    /**
     * @param {ChainModel} model
     * @param {readonly string[]} selected colours of regions
     */
    draw(model, selected) {
        const { tools } = this;
        const { editable } = model;
        const locked = selected.filter((color) => model.isLocked(color));
        tools.undo.disabled = !model.canUndo || !editable;
        tools.redo.disabled = !model.canRedo || !editable;
        tools.add.disabled = !editable;
        tools.lock.setAttribute("aria-pressed", String(selected.length > 0 && locked.length === selected.length));
        for (const name of ["rename", "lock", "duplicate", "remove", "more"]) tools[name].disabled = !selected.length || !editable;
        for (const name of ["rename", "remove"]) tools[name].disabled ||= locked.length > 0;
        tools.rename.disabled ||= selected.length > 1;
    }
}
