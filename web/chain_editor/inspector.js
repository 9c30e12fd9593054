/** What the chosen boxes say besides their words and place: whether they count, their order, strength, colours, lettering. */

import { texts } from "../comfyui/language.js";
import { MAX_COLORS, MAX_LETTERING, MAX_STRENGTH } from "./details.js";
import { element, icon, iconButton } from "./elements.js";

/**
 * @typedef {import("./controller.js").ChainEditor} ChainEditor
 * @typedef {import("./controller.js").Listen} Listen
 * @typedef {import("./details.js").Detail} Detail
 * @typedef {import("./model.js").ChainModel} ChainModel
 */

const NEW_COLOR = "#FFFFFF";

export class Inspector {
    #say = texts().inspector;
    isOpen = false;
    /** Opens and closes it. */
    toggle = iconButton("details", this.#say.toggle);
    tools = { shown: iconButton("shown", this.#say.hide), lower: iconButton("lower", this.#say.lower), raise: iconButton("raise", this.#say.raise) };
    #order = element("span", { class: "got-order", title: this.#say.order });
    strength = element("input", {
        type: "number", min: "0", max: String(MAX_STRENGTH), step: "0.1", title: this.#say.strengthTitle,
        "aria-label": this.#say.strength, "data-testid": "got-strength",
    });
    colors = element("span", { class: "got-colors", role: "group", "aria-label": this.#say.colors });
    addColor = iconButton("plus", this.#say.addColor);
    removeColor = iconButton("less", this.#say.removeColor);
    lettering = element("input", {
        type: "text", maxlength: String(MAX_LETTERING), placeholder: this.#say.letteringExample, title: this.#say.letteringTitle,
        "aria-label": this.#say.lettering, "data-testid": "got-lettering", spellcheck: "false",
    });
    element = element(
        "div", { class: "got-inspector", role: "group", "aria-label": this.#say.name, "data-testid": "got-inspector", hidden: "" },
        this.tools.shown, this.tools.lower, this.#order, this.tools.raise,
        element("label", {}, this.#say.strength, this.strength), element("span", { class: "got-gap" }),
        element("span", {}, this.#say.colors), this.colors, this.addColor, this.removeColor,
        element("label", { class: "got-lettering" }, this.#say.lettering, this.lettering),
    );

    /**
     * @param {ChainModel} model
     * @param {readonly string[]} selected colours of regions
     */
    draw(model, selected) {
        this.element.hidden = !this.isOpen;
        this.toggle.setAttribute("aria-expanded", String(this.isOpen));
        this.toggle.classList.toggle("got-on", this.isOpen);
        const details = selected.flatMap((color) => model.region(color)?.detail ?? []);
        const [first] = details;
        const none = !first || !model.editable;
        const several = details.length > 1;
        const off = details.length > 0 && details.every(({ on }) => !on);
        this.tools.shown.replaceChildren(icon(off ? "off" : "shown"));
        this.tools.shown.title = this.tools.shown.ariaLabel = off ? this.#say.show : this.#say.hide;
        for (const button of [...Object.values(this.tools), this.addColor, this.removeColor]) button.disabled = none;
        for (const field of [this.strength, this.lettering]) field.disabled = none;
        const palette = first && !several ? first.palette : [];
        this.addColor.disabled ||= several || palette.length === MAX_COLORS;
        this.removeColor.disabled ||= palette.length === 0;
        this.lettering.disabled ||= several;
        this.#order.textContent = first && details.every(({ order }) => order === first.order) ? String(first.order) : "";
        fill(this.strength, first && details.every(({ strength }) => strength === first.strength) ? String(first.strength) : "");
        fill(this.lettering, first && !several ? first.text : "");
        this.#drawColors(palette, none);
    }

    /**
     * @param {readonly string[]} palette
     * @param {boolean} disabled
     */
    #drawColors(palette, disabled) {
        while (this.colors.children.length > palette.length) this.colors.lastElementChild?.remove();
        for (const [index, color] of palette.entries()) {
            const swatch = /** @type {HTMLInputElement} */ (this.colors.children[index] ?? element("input", { type: "color" }));
            if (!swatch.isConnected) this.colors.append(swatch);
            swatch.title = swatch.ariaLabel = this.#say.color(index + 1, color);
            swatch.disabled = disabled;
            fill(swatch, color.toLowerCase());
        }
    }
}

/**
 * @param {ChainEditor} editor
 * @param {Listen} on
 */
export function listenToInspector(editor, on) {
    const { inspector } = editor.view;
    /**
     * @param {(detail: Detail) => Detail} change
     * @param {string | null} kind
     */
    const describe = (change, kind = null) => editor.attempt(() => editor.model.describe(editor.selected, change, kind));
    /** @param {(palette: readonly string[]) => string[]} change */
    const recolor = (change, kind = "") => describe((detail) => ({ ...detail, palette: change(detail.palette) }), kind || null);
    on(inspector.toggle, "click", () => editor.use("details"));
    on(inspector.tools.shown, "click", () => editor.use("shown"));
    on(inspector.tools.lower, "click", () => editor.use("lower"));
    on(inspector.tools.raise, "click", () => editor.use("raise"));
    on(inspector.addColor, "click", () => recolor((palette) => [...palette, NEW_COLOR]));
    on(inspector.removeColor, "click", () => recolor((palette) => palette.slice(0, -1)));
    on(inspector.element, "keydown", (event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        editor.focus(editor.selected[0]);
    });
    on(inspector.colors, "input", ({ target }) => {
        const swatch = /** @type {HTMLInputElement} */ (target);
        const index = [...inspector.colors.children].indexOf(swatch);
        recolor((palette) => palette.with(index, swatch.value), `color ${index} ${editor.selected}`);
    });
    on(inspector.strength, "change", () => {
        const { valueAsNumber: strength } = inspector.strength;
        inspector.strength.dataset.drawn = "";  // whatever was typed, the field says what has become of it
        if (Number.isFinite(strength)) describe((detail) => ({ ...detail, strength }));
        editor.draw();
    });
    on(inspector.lettering, "input", () => {
        const { value: text } = inspector.lettering;
        inspector.lettering.dataset.drawn = text;
        describe((detail) => ({ ...detail, text }), `lettering ${editor.selected}`);
    });
}

/**
 * Shows a value; what is being typed stays.
 * @param {HTMLInputElement} field
 * @param {string} value
 */
function fill(field, value) {
    if (value === field.dataset.drawn) return;
    field.value = field.dataset.drawn = value;
}
