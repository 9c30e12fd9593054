/** The editor: what a pointer and a keyboard do to the model, and the end of it all. */

import { ChainError } from "./chain.js";
import { boxBetween, HANDLES, hits, moved, resized, snap, toGrid } from "./geometry.js";
import { ChainModel } from "./model.js";
import { ChainView, proseText } from "./view.js";

/**
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./geometry.js").Point} Point
 * @typedef {import("./geometry.js").Pull} Pull
 *
 * What the pointer is doing: moving a region, pulling at one, or drawing a new one.
 * @typedef {object} Drag
 * @property {Point} from where it began, on the grid
 * @property {Point} pressed where it began, on the screen
 * @property {string | null} color the region; null: a new one
 * @property {Box} box the region's box at the beginning
 * @property {Pull | null} pull null: all of it moves
 * @property {Box | null} result the box that it would get now
 */

const SNAP_REACH = 6;  // pixels
const CLICK_REACH = 3;
const NEW_BOX = /** @type {const} */ ([350, 350, 650, 650]);
const PAUSE = 1000;  // milliseconds, after which typing or nudging is another step of undo
const ARROWS = /** @type {Record<string, [number, number]>} */ ({
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
});
const LEFT_TO_COMFYUI = new Set(["Enter", "s"]);  // with Ctrl: run, save

export class ChainEditor {
    /** @type {string | null} the colour of the selected region */
    #selected = null;
    /** @type {Drag | null} */
    #drag = null;
    /** @type {HTMLInputElement | null} */
    #renaming = null;
    #message = "";
    /** @type {Record<string, string>} */
    #pictures = { generated: "", reference: "", black: "" };
    #aspect = 0;
    #pause = 0;
    #listeners = new AbortController();

    /**
     * @param {(value: string) => void} onEdit is told the new value after each edit
     * @param {() => void} onStep is told when a step of undo is complete
     */
    constructor(onEdit, onStep) {
        this.model = new ChainModel((edited) => {
            if (edited) onEdit(this.model.value);
            this.#draw();
            clearTimeout(this.#pause);
            this.#pause = setTimeout(() => this.model.seal(), PAUSE);
        }, onStep);
        this.view = new ChainView();
        this.element = this.view.root;
        this.#listen();
        this.#draw();
    }

    /**
     * The node's saved value, set by whomever, and its choice for a new incoming chain.
     * @param {string} value
     * @param {boolean} takesNew
     */
    load(value, takesNew) {
        this.model.value = value;
        this.model.takesNew = takesNew;
        this.#draw();
    }

    /**
     * The chain that came in with a run.
     * @param {unknown} data as `chainToJson` gives it
     */
    receive(data) {
        this.#attempt(() => this.model.receive(data));
    }

    /** @param {string | null} text all that the model upstream has written so far; null when it has stopped */
    stream(text) {
        this.model.stream(text);
    }

    /**
     * @param {"generated" | "reference"} kind
     * @param {string} url
     */
    setPicture(kind, url) {
        this.#pictures[kind] = url;
        this.#drawBackground();
    }

    /** @param {number} aspect width over height; 0: not known, the background picture's counts */
    setAspect(aspect) {
        this.#aspect = aspect;
        this.#drawBackground();
    }

    dispose() {
        this.#listeners.abort();
        clearTimeout(this.#pause);
        this.view.remove();
    }

    // Drawing

    #draw() {
        if (!this.model.region(this.#selected)) this.#selected = null;
        const focused = this.element.contains(document.activeElement);
        this.view.draw(this.model, this.#selected, this.#message);
        if (focused && !holdsFocus(this.element)) this.element.focus({ preventScroll: true });
    }

    #drawBackground() {
        const { background, opacity, picture } = this.view;
        this.view.showPicture(this.#pictures[background.value], Number(opacity.value) / 100);
        const pictureAspect = picture.hidden || !picture.naturalHeight ? 1 : picture.naturalWidth / picture.naturalHeight;
        this.view.setAspect(this.#aspect || pictureAspect);
    }

    /** @param {string | null} color */
    #select(color) {
        if (color === this.#selected) return;
        this.#selected = color;
        this.#message = "";
        this.model.seal();
        this.#draw();
        if (color) this.view.reveal(color);
    }

    /**
     * Does an edit, or says why it cannot be done.
     * @param {() => void} edit
     */
    #attempt(edit) {
        this.#message = "";
        try {
            edit();
        } catch (error) {
            if (!(error instanceof ChainError)) throw error;
            this.#say(error.message);
        }
    }

    /** @param {string} message */
    #say(message) {
        this.#message = message;
        this.#draw();
    }

    // Events

    #listen() {
        const { view } = this;
        this.#on(view.root, "keydown", (event) => this.#onKey(event));
        for (const name of /** @type {const} */ (["keyup", "copy", "cut", "paste"])) {
            this.#on(view.root, name, (event) => event.stopPropagation());
        }
        this.#on(view.svg, "mousedown", (event) => event.preventDefault());  // #press says what gets the focus
        this.#on(view.svg, "pointerdown", (event) => this.#press(event));
        this.#on(view.svg, "pointermove", (event) => this.#pull(event));
        this.#on(view.svg, "pointerup", (event) => this.#release(event));
        this.#on(view.svg, "lostpointercapture", () => this.#cancelDrag());
        this.#on(view.svg, "dblclick", () => this.#startRename());
        this.#on(view.svg, "focusin", (event) => this.#select(colorOf(event.target)));

        this.#on(view.text, "input", (event) => {
            if (!/** @type {InputEvent} */ (event).isComposing) this.#type();
        });
        this.#on(view.text, "compositionend", () => this.#type());
        this.#on(view.text, "beforeinput", (event) => this.#onNativeUndo(event));
        this.#on(view.text, "click", (event) => this.#select(colorOf(event.target)));
        this.#on(view.root, "focusout", () => this.model.seal());
        this.#on(view.text, "copy", (event) => this.#copyProse(event));
        this.#on(view.text, "cut", (event) => {
            this.#copyProse(event);
            if (!this.model.editable) return;
            document.getSelection()?.deleteFromDocument();
            this.#type();
        });

        for (const [name, button] of Object.entries(view.tools)) this.#on(button, "click", () => this.#use(name));
        this.#on(view.keepMine, "click", () => this.model.keepMine());
        this.#on(view.takeNew, "click", () => this.model.takeNew());
        this.#on(view.merge, "click", () => this.#attempt(() => this.model.merge()));
        this.#on(view.background, "change", () => this.#drawBackground());
        this.#on(view.opacity, "input", () => this.#drawBackground());
        this.#on(view.picture, "load", () => this.#drawBackground());
        this.#on(view.picture, "error", () => (view.picture.hidden = true));
    }

    /**
     * @template {keyof HTMLElementEventMap} Name
     * @param {Element} target
     * @param {Name} name
     * @param {(event: HTMLElementEventMap[Name]) => void} listener
     */
    #on(target, name, listener) {
        target.addEventListener(name, /** @type {EventListener} */ (listener), { signal: this.#listeners.signal });
    }

    /** @param {string} tool */
    #use(tool) {
        const color = this.#selected;
        if (tool === "undo") this.#undo();
        else if (tool === "redo") this.#redo();
        else if (tool === "add") this.#add(NEW_BOX);
        else if (tool === "rename") this.#startRename();
        else if (color && tool === "lock") this.#attempt(() => this.model.toggleLock(color));
        else if (color && tool === "duplicate") this.#attempt(() => this.#focusBox(this.model.duplicate(color)));
        else if (color && tool === "remove") this.#remove(color);
    }

    #undo() {
        this.#message = "";
        if (this.model.editable) this.model.undo();
    }

    #redo() {
        this.#message = "";
        if (this.model.editable) this.model.redo();
    }

    /** @param {Box} box */
    #add(box) {
        this.#attempt(() => {
            this.#focusBox(this.model.add(box));
            this.#startRename();
        });
    }

    /** @param {string} color */
    #remove(color) {
        const colors = this.model.chain?.regions.map((region) => region.color) ?? [];
        const next = colors[colors.indexOf(color) + 1] ?? colors.at(-2);
        this.#attempt(() => {
            this.model.remove(color);
            if (next) this.#focusBox(next);
        });
    }

    /** @param {string} color */
    #focusBox(color) {
        this.#select(color);
        this.view.boxOf.get(color)?.focus({ preventScroll: true });
    }

    // Words

    #type() {
        this.#message = "";
        if (!this.model.editable) return;
        this.model.write(proseText(this.view.text));
    }

    /** @param {InputEvent} event */
    #onNativeUndo(event) {
        if (!event.inputType.startsWith("history")) return;
        event.preventDefault();
        if (event.inputType === "historyUndo") this.#undo();
        else this.#redo();
    }

    /** @param {ClipboardEvent} event */
    #copyProse(event) {
        const selection = document.getSelection();
        if (!selection?.rangeCount) return;
        event.clipboardData?.setData("text/plain", proseText(selection.getRangeAt(0).cloneContents()));
        event.preventDefault();
    }

    #startRename() {
        const region = this.model.region(this.#selected);
        if (!region || !this.model.editable || this.#renaming || this.model.isLocked(region.color)) return;
        const field = this.view.openRename(region);
        this.#renaming = field;
        /** @param {boolean} keep */
        const close = (keep) => {
            if (this.#renaming !== field) return;
            this.#renaming = null;
            const focused = document.activeElement === field;
            field.remove();
            if (focused) this.#focusBox(region.color);
            if (keep && field.value.trim() !== region.phrase) {
                this.#attempt(() => this.model.rename(region.color, field.value));
            }
        };
        field.addEventListener("blur", () => close(true));
        field.addEventListener("keydown", (event) => {
            if (event.key === "Enter" && !event.isComposing) close(true);
            else if (event.key === "Escape") close(false);
            else return;
            event.preventDefault();
            event.stopPropagation();
        });
    }

    // Keyboard

    /** @param {KeyboardEvent} event */
    #onKey(event) {
        const control = event.ctrlKey || event.metaKey;
        if (control && LEFT_TO_COMFYUI.has(event.key)) return;
        event.stopPropagation();
        if (event.target instanceof HTMLInputElement && event.target === this.#renaming) return;
        if (control && !event.altKey && this.#onUndoKey(event)) return;
        if (event.key === "Escape" && this.#drag) this.#cancelDrag();
        const color = this.#selected;
        if (color && this.view.svg.contains(/** @type {Node} */ (event.target)) && this.#onBoxKey(event, color, control)) {
            event.preventDefault();
        }
    }

    /** @param {KeyboardEvent} event */
    #onUndoKey(event) {
        const key = event.key.toLowerCase();
        if (key !== "z" && key !== "y") return false;
        const redo = key === "y" || event.shiftKey;
        hideFromChangeTracker(event);
        event.preventDefault();
        if (redo) this.#redo();
        else this.#undo();
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
            this.#use("duplicate");
        } else if (key in ARROWS) {
            this.#nudge(color, ARROWS[key], shiftKey ? 10 : 1, altKey);
        } else if (key === "Delete" || key === "Backspace") {
            this.#use("remove");
        } else if (key === "Enter" || key === "F2") {
            this.#startRename();
        } else if (key.toLowerCase() === "l") {
            this.#use("lock");
        } else if (key === "Escape") {
            this.#select(null);
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
        const box = this.model.region(color)?.box;
        if (!box) return;
        const next = resize ? resized(box, HANDLES.se, right * step, down * step) : moved(box, right * step, down * step);
        this.#attempt(() => this.model.move(color, next, `nudge ${color}`));
    }

    // Pointer

    /** @param {PointerEvent} event */
    #press(event) {
        if (event.button !== 0 || !this.model.editable) return;
        const from = this.#pointOnGrid(event);
        const handle = /** @type {Element} */ (event.target).getAttribute("data-handle");
        const under = hits(this.model.chain?.regions ?? [], from);
        const selected = this.model.region(this.#selected);
        const region = selected && (handle || under.includes(selected)) ? selected : under[0] ?? null;
        if (region) {
            this.#focusBox(region.color);
        } else {
            this.#select(null);
            this.element.focus({ preventScroll: true });
        }
        this.#drag = {
            from,
            pressed: { x: event.clientX, y: event.clientY },
            color: region?.color ?? null,
            box: region?.box ?? NEW_BOX,
            pull: handle ? HANDLES[handle] : null,
            result: null,
        };
        this.view.svg.setPointerCapture(event.pointerId);
    }

    /** @param {PointerEvent} event */
    #pull(event) {
        const drag = this.#drag;
        if (!drag) return;
        const far = Math.hypot(event.clientX - drag.pressed.x, event.clientY - drag.pressed.y) >= CLICK_REACH;
        if (!far && !drag.result) return;
        const to = this.#pointOnGrid(event);
        if (drag.color === null) {
            drag.result = boxBetween(drag.from, to);
            this.view.showDrawn(drag.result);
            return;
        }
        if (this.model.isLocked(drag.color)) {
            this.#endDrag();
            this.#say("This box is locked. Press L to unlock it.");
            return;
        }
        const { box, guides } = this.#dragged(drag, to, !event.altKey);
        drag.result = box;
        this.view.preview(drag.color, box, guides);
    }

    /** @param {PointerEvent} event */
    #release(event) {
        const drag = this.#drag;
        if (!drag) return;
        this.#endDrag();
        const { color, result } = drag;
        if (color && result) {
            this.#attempt(() => this.model.move(color, result));
        } else if (result) {
            this.#add(result);
        } else if (!drag.pull) {
            const [smallest] = hits(this.model.chain?.regions ?? [], this.#pointOnGrid(event));
            if (smallest) this.#focusBox(smallest.color);
        }
    }

    #cancelDrag() {
        if (!this.#drag) return;
        this.#endDrag();
        this.#draw();
    }

    #endDrag() {
        this.#drag = null;
        this.view.showDrawn(null);
        this.view.showGuides([]);
    }

    /**
     * @param {Drag} drag
     * @param {Point} to
     * @param {boolean} snapping
     */
    #dragged({ from, color, box, pull }, to, snapping) {
        /** @type {(right: number, down: number) => Box} */
        const by = (right, down) => (pull ? resized(box, pull, right, down) : moved(box, right, down));
        const [right, down] = [to.x - from.x, to.y - from.y];
        if (!snapping) return { box: by(right, down), guides: [] };
        const others = this.model.chain?.regions.filter((region) => region.color !== color) ?? [];
        const { width, height } = this.view.svg.getBoundingClientRect();
        const reach = { x: (SNAP_REACH * 1000) / width, y: (SNAP_REACH * 1000) / height };
        const snapped = snap(by(right, down), pull, others.map((region) => region.box), reach);
        return { box: by(right + snapped.right, down + snapped.down), guides: snapped.guides };
    }

    /** @param {PointerEvent} event */
    #pointOnGrid(event) {
        return toGrid({ x: event.clientX, y: event.clientY }, this.view.svg.getBoundingClientRect());
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

/**
 * Whether the focus is in the editor, on something that keeps it. Where it were lost, ComfyUI would get the next key.
 * @param {Element} editor
 */
function holdsFocus(editor) {
    const { activeElement } = document;
    return editor.contains(activeElement) && !activeElement?.matches(":disabled, [hidden] *");
}

/** @param {EventTarget | null} target */
function colorOf(target) {
    return target instanceof Element ? target.closest("[data-color]")?.getAttribute("data-color") ?? null : null;
}
