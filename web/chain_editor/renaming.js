/** New words for a box, in a field on the box itself. */

/** @typedef {import("./controller.js").ChainEditor} ChainEditor */

export class Renaming {
    /** @type {HTMLInputElement | null} */
    #field = null;
    #editor;

    /** @param {ChainEditor} editor */
    constructor(editor) {
        this.#editor = editor;
    }

    /** Opens the field of the chosen box, if it is the only one and not locked. */
    start() {
        const { model, selected, view: { boxes } } = this.#editor;
        const region = selected.length === 1 ? model.region(selected[0]) : null;
        if (!region || !model.editable || this.#field || model.isLocked(region.color)) return;
        const field = boxes.openRename(region);
        this.#field = field;
        field.addEventListener("blur", () => this.#close(region, true));
        field.addEventListener("keydown", (event) => {
            if (event.key === "Enter" && !event.isComposing) this.#close(region, true);
            else if (event.key === "Escape") this.#close(region, false);
            else return;
            event.preventDefault();
            event.stopPropagation();
        });
    }

    /**
     * @param {import("./notation.js").Region} region
     * @param {boolean} keep whether the words become the box's
     */
    #close({ color, phrase }, keep) {
        const field = this.#field;
        if (!field) return;
        this.#field = null;
        const focused = document.activeElement === field;
        field.remove();
        if (focused) this.#editor.focusBox(color);
        if (keep && field.value.trim() !== phrase) {
            this.#editor.attempt(() => this.#editor.model.rename(color, field.value));
        }
    }
}
