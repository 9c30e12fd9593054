/** What the keys do. Those that mean something here do not reach ComfyUI. */

import { span } from "./alignment.js";
import { HANDLES, moved, resized, within } from "./geometry.js";

/** @typedef {import("./controller.js").ChainEditor} ChainEditor */

const ARROWS = /** @type {Record<string, [number, number]>} */ ({
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
});
const COMMANDS = /** @type {Record<string, string>} */ ({
    delete: "remove", backspace: "remove", enter: "rename", f2: "rename", l: "lock", h: "shown", i: "details", "]": "raise", "[": "lower",
});
const CONTROL_COMMANDS = /** @type {Record<string, string>} */ ({ d: "duplicate", a: "all" });
const LEFT_TO_COMFYUI = new Set(["Enter", "s"]);  // with Ctrl: run, save

export class Keyboard {
    #editor;

    /** @param {ChainEditor} editor */
    constructor(editor) {
        this.#editor = editor;
    }

    /** @param {KeyboardEvent} event */
    press(event) {
        const editor = this.#editor;
        const control = event.ctrlKey || event.metaKey;
        if (control && LEFT_TO_COMFYUI.has(event.key)) return;
        event.stopPropagation();
        if (event.target instanceof HTMLInputElement && event.target.type === "text") return;
        if (control && !event.altKey && this.#onUndoKey(event)) return;
        if (event.key === "Escape" && editor.pointer.cancel()) return event.preventDefault();
        const box = /** @type {Element} */ (event.target).closest("[data-testid=got-box]");
        const focused = box?.getAttribute("data-color");
        if (focused && this.#onBoxKey(event, focused, control)) event.preventDefault();
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
     * @param {string} focused the colour of the box that has the focus
     * @param {boolean} control
     * @returns {boolean} whether the key means something
     */
    #onBoxKey({ key, shiftKey, altKey }, focused, control) {
        const editor = this.#editor;
        const command = control ? CONTROL_COMMANDS[key.toLowerCase()] : COMMANDS[key.toLowerCase()];
        if (command) {
            editor.use(command);
        } else if (control) {
            return false;
        } else if (key in ARROWS) {
            this.#nudge(ARROWS[key], shiftKey ? 10 : 1, altKey);
        } else if (key === " ") {
            editor.toggleByKey(focused);
        } else if (key === "Escape" && !editor.largeView.isOpen) {
            editor.select([]);
        } else {
            return false;
        }
        return true;
    }

    /**
     * @param {[number, number]} direction
     * @param {number} step
     * @param {boolean} resize
     */
    #nudge([right, down], step, resize) {
        const { model, selected } = this.#editor;
        const boxes = new Map(model.boxesOf(selected));
        if (!boxes.size) return;
        const [dx, dy] = within(span([...boxes.values()]), right * step, down * step);
        for (const [color, box] of boxes) {
            boxes.set(color, resize ? resized(box, HANDLES.se, right * step, down * step) : moved(box, dx, dy));
        }
        this.#editor.attempt(() => model.place(boxes, `nudge ${selected}`));
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
