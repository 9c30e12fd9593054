/** What the keys do. Those that mean something here do not reach ComfyUI. */

import { HANDLES, moved, resized } from "./geometry.js";

/** @typedef {import("./controller.js").ChainEditor} ChainEditor */

const ARROWS = /** @type {Record<string, [number, number]>} */ ({
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
});
const LEFT_TO_COMFYUI = new Set(["Enter", "s"]);  // with Ctrl: run, save

export class Keyboard {
    #editor;

    /** @param {ChainEditor} editor */
    constructor(editor) {
        this.#editor = editor;
    }

    /** @param {KeyboardEvent} event */
    press(event) {
        const control = event.ctrlKey || event.metaKey;
        const editor = this.#editor;
        if (control && LEFT_TO_COMFYUI.has(event.key)) return;
        event.stopPropagation();
        if (event.target instanceof HTMLInputElement && event.target.type === "text") return;
        if (control && !event.altKey && this.#onUndoKey(event)) return;
        if (event.key === "Escape") editor.pointer.cancel();
        const color = editor.selected;
        const onBox = editor.view.boxes.svg.contains(/** @type {Node} */ (event.target));
        if (color && onBox && this.#onBoxKey(event, color, control)) event.preventDefault();
    }

    /** @param {KeyboardEvent} event */
    #onUndoKey(event) {
        const key = event.key.toLowerCase();
        if (key !== "z" && key !== "y") return false;
        const redo = key === "y" || event.shiftKey;
        hideFromChangeTracker(event);
        event.preventDefault();
        if (redo) this.#editor.redo();
        else this.#editor.undo();
        return true;
    }

    /**
     * @param {KeyboardEvent} event
     * @param {string} color
     * @param {boolean} control
     * @returns {boolean} whether the key means something
     */
    #onBoxKey({ key, shiftKey, altKey }, color, control) {
        if (control) {
            if (key.toLowerCase() !== "d") return false;
            this.#editor.use("duplicate");
        } else if (key in ARROWS) {
            this.#nudge(color, ARROWS[key], shiftKey ? 10 : 1, altKey);
        } else if (key === "Delete" || key === "Backspace") {
            this.#editor.use("remove");
        } else if (key === "Enter" || key === "F2") {
            this.#editor.startRename();
        } else if (key.toLowerCase() === "l") {
            this.#editor.use("lock");
        } else if (key === "Escape") {
            this.#editor.select(null);
        } else {
            return false;
        }
        return true;
    }

    /**
     * @param {string} color
     * @param {[number, number]} direction
     * @param {number} step
     * @param {boolean} resize
     */
    #nudge(color, [right, down], step, resize) {
        const box = this.#editor.model.region(color)?.box;
        if (!box) return;
        const next = resize ? resized(box, HANDLES.se, right * step, down * step) : moved(box, right * step, down * step);
        this.#editor.attempt(() => this.#editor.model.move(color, next, `nudge ${color}`));
    }
}

/**
 * ComfyUI's change tracker looks at each key in the frame after it was pressed, whoever has handled it: this key is no
 * shortcut of the graph's.
 * @param {KeyboardEvent} event
 */
function hideFromChangeTracker(event) {
    for (const key of ["ctrlKey", "metaKey"]) Object.defineProperty(event, key, { value: false });
}
