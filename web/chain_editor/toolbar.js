/** What can be done to a box, as buttons, and the choice of what lies behind the boxes. */

import { texts } from "../comfyui/language.js";
import { element, icon, iconButton, setAttributes } from "./elements.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

const TOOLS = /** @type {const} */ (["undo", "redo", "add", "rename", "lock", "duplicate", "remove", "more"]);
const BACKGROUNDS = /** @type {const} */ (["generated", "reference", "black"]);

export class Toolbar {
    #say = texts().tools;
    /** @type {Record<string, HTMLButtonElement>} by the tool's name */
    tools = Object.fromEntries(TOOLS.map((name) => [name, iconButton(name, this.#say[name])]));
    background = element(
        "select",
        { "aria-label": this.#say.background, title: this.#say.behind },
        ...BACKGROUNDS.map((value) => element("option", { value }, this.#say[value])),
    );
    opacity = element("input", {
        type: "range", min: "0", max: "100", value: "70", title: this.#say.visible, "aria-label": this.#say.opacity,
    });
    large = iconButton("large", this.#say.large);
    element = element(
        "div",
        { class: "got-toolbar", role: "toolbar", "aria-label": this.#say.name },
        ...Object.values(this.tools), element("span", { class: "got-gap" }), this.background, this.opacity, this.large,
    );

    constructor() {
        this.tools.more.setAttribute("aria-haspopup", "menu");
    }

    /**
     * Gives the pictures other names than those of a plan that is drawn.
     * @param {string} generated
     * @param {string} reference
     * @param {string} title
     */
    nameBackgrounds(generated, reference, title) {
        [this.background.options[0].textContent, this.background.options[1].textContent] = [generated, reference];
        this.background.title = title;
    }

    /** @param {boolean} open */
    showLarge(open) {
        const title = open ? this.#say.back : this.#say.large;
        this.large.replaceChildren(open ? this.#say.close : icon("large"));
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
