/** The editor: joins what it holds, what is drawn, and what a pointer and a keyboard do. */

import { ChainError } from "./chain.js";
import { Keyboard } from "./keyboard.js";
import { ChainModel } from "./model.js";
import { Pointer } from "./pointer.js";
import { proseText } from "./prose.js";
import { ChainView } from "./view.js";

/** @typedef {import("./notation.js").Box} Box */

const NEW_BOX = /** @type {const} */ ([350, 350, 650, 650]);
const PAUSE = 1000;  // milliseconds, after which typing or nudging is another step of undo

export class ChainEditor {
    /** @type {string | null} the colour of the selected region */
    selected = null;
    /** @type {HTMLInputElement | null} */
    #renaming = null;
    pointer = new Pointer(this);
    #keyboard = new Keyboard(this);
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
            this.draw();
            clearTimeout(this.#pause);
            this.#pause = setTimeout(() => this.model.seal(), PAUSE);
        }, onStep);
        this.view = new ChainView();
        this.element = this.view.root;
        this.#listen();
        this.draw();
    }

    /**
     * The node's saved value, set by whomever, and its choice for a new incoming chain.
     * @param {string} value
     * @param {boolean} takesNew
     */
    load(value, takesNew) {
        this.model.value = value;
        this.model.takesNew = takesNew;
        this.draw();
    }

    /**
     * The chain that came in with a run.
     * @param {unknown} data as `chainToJson` gives it
     */
    receive(data) {
        this.attempt(() => this.model.receive(data));
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

    draw() {
        if (!this.model.region(this.selected)) this.selected = null;
        const focused = this.element.contains(document.activeElement);
        this.view.draw(this.model, this.selected, this.#message);
        if (focused && !holdsFocus(this.element)) this.element.focus({ preventScroll: true });
    }

    #drawBackground() {
        const { picture, toolbar: { background, opacity } } = this.view;
        this.view.showPicture(this.#pictures[background.value], Number(opacity.value) / 100);
        const pictureAspect = picture.hidden || !picture.naturalHeight ? 1 : picture.naturalWidth / picture.naturalHeight;
        this.view.setAspect(this.#aspect || pictureAspect);
    }

    /** @param {string | null} color */
    select(color) {
        if (color === this.selected) return;
        this.selected = color;
        this.#message = "";
        this.model.seal();
        this.draw();
        if (color) this.view.prose.reveal(color);
    }

    /**
     * Does an edit, or says why it cannot be done.
     * @param {() => void} edit
     */
    attempt(edit) {
        this.#message = "";
        try {
            edit();
        } catch (error) {
            if (!(error instanceof ChainError)) throw error;
            this.say(error.message);
        }
    }

    /** @param {string} message */
    say(message) {
        this.#message = message;
        this.draw();
    }

    // Events

    #listen() {
        const { view } = this;
        this.#on(view.root, "keydown", (event) => this.#keyboard.press(event));
        for (const name of /** @type {const} */ (["keyup", "copy", "cut", "paste"])) {
            this.#on(view.root, name, (event) => event.stopPropagation());
        }
        this.#on(view.root, "focusout", () => this.model.seal());
        this.#listenToBoxes();
        this.#listenToProse();
        for (const [name, button] of Object.entries(view.toolbar.tools)) this.#on(button, "click", () => this.use(name));
        this.#on(view.bar.keepMine, "click", () => this.model.keepMine());
        this.#on(view.bar.takeNew, "click", () => this.model.takeNew());
        this.#on(view.bar.merge, "click", () => this.attempt(() => this.model.merge()));
        this.#on(view.toolbar.background, "change", () => this.#drawBackground());
        this.#on(view.toolbar.opacity, "input", () => this.#drawBackground());
        this.#on(view.picture, "load", () => this.#drawBackground());
        this.#on(view.picture, "error", () => (view.picture.hidden = true));
    }

    #listenToBoxes() {
        const { svg } = this.view.boxes;
        this.#on(svg, "mousedown", (event) => event.preventDefault());  // the pointer says what gets the focus
        this.#on(svg, "pointerdown", (event) => this.pointer.press(event));
        this.#on(svg, "pointermove", (event) => this.pointer.move(event));
        this.#on(svg, "pointerup", (event) => this.pointer.release(event));
        this.#on(svg, "lostpointercapture", () => this.pointer.cancel());
        this.#on(svg, "dblclick", () => this.startRename());
        this.#on(svg, "focusin", (event) => this.select(colorOf(event.target)));
    }

    #listenToProse() {
        const text = this.view.prose.element;
        this.#on(text, "input", (event) => {
            if (!/** @type {InputEvent} */ (event).isComposing) this.#type();
        });
        this.#on(text, "compositionend", () => this.#type());
        this.#on(text, "beforeinput", (event) => this.#onNativeUndo(event));
        this.#on(text, "click", (event) => this.select(colorOf(event.target)));
        this.#on(text, "copy", (event) => this.#copyProse(event));
        this.#on(text, "cut", (event) => {
            this.#copyProse(event);
            if (!this.model.editable) return;
            document.getSelection()?.deleteFromDocument();
            this.#type();
        });
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
    use(tool) {
        const color = this.selected;
        if (tool === "undo") this.undo();
        else if (tool === "redo") this.redo();
        else if (tool === "add") this.add(NEW_BOX);
        else if (tool === "rename") this.startRename();
        else if (color && tool === "lock") this.attempt(() => this.model.toggleLock(color));
        else if (color && tool === "duplicate") this.attempt(() => this.focusBox(this.model.duplicate(color)));
        else if (color && tool === "remove") this.#remove(color);
    }

    undo() {
        this.#message = "";
        if (this.model.editable) this.model.undo();
    }

    redo() {
        this.#message = "";
        if (this.model.editable) this.model.redo();
    }

    /** @param {Box} box */
    add(box) {
        this.attempt(() => {
            this.focusBox(this.model.add(box));
            this.startRename();
        });
    }

    /** @param {string} color */
    #remove(color) {
        const colors = this.model.chain?.regions.map((region) => region.color) ?? [];
        const next = colors[colors.indexOf(color) + 1] ?? colors.at(-2);
        this.attempt(() => {
            this.model.remove(color);
            if (next) this.focusBox(next);
        });
    }

    /** @param {string} color */
    focusBox(color) {
        this.select(color);
        this.view.boxes.focus(color);
    }

    // Words

    #type() {
        this.#message = "";
        if (!this.model.editable) return;
        this.model.write(this.view.prose.text);
    }

    /** @param {InputEvent} event */
    #onNativeUndo(event) {
        if (!event.inputType.startsWith("history")) return;
        event.preventDefault();
        if (event.inputType === "historyUndo") this.undo();
        else this.redo();
    }

    /** @param {ClipboardEvent} event */
    #copyProse(event) {
        const selection = document.getSelection();
        if (!selection?.rangeCount) return;
        event.clipboardData?.setData("text/plain", proseText(selection.getRangeAt(0).cloneContents()));
        event.preventDefault();
    }

    startRename() {
        const region = this.model.region(this.selected);
        if (!region || !this.model.editable || this.#renaming || this.model.isLocked(region.color)) return;
        const field = this.view.boxes.openRename(region);
        this.#renaming = field;
        /** @param {boolean} keep */
        const close = (keep) => {
            if (this.#renaming !== field) return;
            this.#renaming = null;
            const focused = document.activeElement === field;
            field.remove();
            if (focused) this.focusBox(region.color);
            if (keep && field.value.trim() !== region.phrase) {
                this.attempt(() => this.model.rename(region.color, field.value));
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
