/** The editor: joins what it holds, what is drawn, and what a pointer and a keyboard do. */

import { remarkInLanguage, texts } from "../comfyui/language.js";
import { boxMenu, doBoxCommand } from "./box_commands.js";
import { ChainError } from "./chain.js";
import { listenToDrops } from "./dropping.js";
import { colorOf, element } from "./elements.js";
import { withNumber } from "./geometry.js";
import { listenToInspector } from "./inspector.js";
import { Keyboard } from "./keyboard.js";
import { LargeView } from "./large_view.js";
import { ChainModel } from "./model.js";
import { Pasting } from "./paste.js";
import { Pointer } from "./pointer.js";
import { Renaming } from "./renaming.js";
import { listenToProse, listenToPrompt } from "./typing.js";
import { ChainView } from "./view.js";

/**
 * @typedef {import("./notation.js").Box} Box
 *
 * What the editor tells the node that it is on: the new value after each edit; that a step of undo is complete; whether
 * the prompt is to follow the plan; around what the next plan is to be made, which has an answer for the artist; and a
 * text that was pasted, to be read.
 * @typedef {{
 *     edited: (value: string) => void, stepped: () => void, followed: (follows: boolean) => void, drawn: () => void,
 *     replanned: (locked: string) => string,
 *     pasted: (question: import("./paste.js").Question) => Promise<import("./paste.js").Answer>,
 * }} Host
 *
 * Listens for as long as the editor is there.
 * @typedef {<Name extends keyof HTMLElementEventMap>(
 *     target: Element, name: Name, listener: (event: HTMLElementEventMap[Name]) => void,
 * ) => void} Listen
 */

const NEW_BOX = /** @type {const} */ ([350, 350, 650, 650]);
const PAUSE = 1000;  // milliseconds, after which typing or nudging is another step of undo

export class ChainEditor {
    /** @type {readonly string[]} the colours of the selected regions */
    selected = [];
    /** Whether the focus goes from box to box without choosing them: by the keyboard, more than one is being chosen. */
    #adding = false;
    pointer = new Pointer(this);
    renaming = new Renaming(this);
    #keyboard = new Keyboard(this);
    #message = "";
    #wrong = false;
    /** @type {Record<string, string>} */
    #pictures = { generated: "", reference: "", black: "" };
    #aspect = 0;
    #pause = 0;
    #host;
    #listeners = new AbortController();

    /** @param {Host} host */
    constructor(host) {
        this.#host = host;
        this.model = new ChainModel((edited) => {
            if (edited) host.edited(this.model.value);
            this.draw();
            clearTimeout(this.#pause);
            this.#pause = setTimeout(() => this.model.seal(), PAUSE);
        }, () => host.stepped());
        this.view = new ChainView();
        this.pasting = new Pasting(this, host.pasted);
        this.element = element("div", { class: "got-chain-host" }, this.view.root);
        this.largeView = new LargeView(this.element, this.view.root, (open) => this.view.toolbar.showLarge(open));
        this.#listen();
        this.view.draw(this.model, this.selected, "", false);
    }

    /**
     * The node's saved value, set by whomever, and its choices: for a new incoming chain, and for the prompt.
     * @param {string} value
     * @param {boolean} takesNew
     * @param {boolean} follows
     */
    load(value, takesNew, follows) {
        this.model.value = value;
        this.model.takesNew = takesNew;
        this.model.follows = follows;
        this.draw();
    }

    /**
     * The chain that came in with a run.
     * @param {unknown} data as `chainToJson` gives it
     */
    receive(data) {
        this.attempt(() => this.model.receive(data));
    }

    /**
     * Starts over with another plan.
     * @param {unknown} data as `chainToJson` gives it
     * @param {string} value of an edit of it that was begun before; empty: none
     */
    open(data, value) {
        this.#message = "";
        this.attempt(() => this.model.open(data, value));
    }

    /** @param {string} idle what is said where there is no plan to edit */
    rest(idle) {
        this.#message = "";
        this.model.rest(idle);
    }

    /** @param {unknown} data plans of one prompt to choose from, each as `chainToJson` gives it */
    offer(data) {
        this.model.offer(data);
    }

    /**
     * What the graph around the node says.
     * @param {boolean} connected whether a chain may come in
     * @param {string} task what a plan is for that the artist makes alone
     * @param {boolean} canReplan whether GoT Reason can be told what to plan around
     */
    surround(connected, task, canReplan) {
        this.model.surround(connected, task, canReplan);
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
        this.largeView.close();
        this.#listeners.abort();
        clearTimeout(this.#pause);
        this.view.remove();
        this.element.remove();
    }

    // Drawing

    draw() {
        if (!this.selected.every((color) => this.model.region(color))) {
            this.selected = this.selected.filter((color) => this.model.region(color));
        }
        const { root } = this.view;
        const focused = root.contains(document.activeElement);
        const color = colorOf(document.activeElement);
        this.view.draw(this.model, this.selected, this.#message, this.#wrong);
        this.view.paste.draw(this.pasting, this.view.picture);
        if (focused && !holdsFocus(root)) this.focus(this.model.region(color)?.color);
        this.#host.drawn();
    }

    #drawBackground() {
        const { picture, toolbar: { background, opacity } } = this.view;
        this.view.showPicture(this.#pictures[background.value], Number(opacity.value) / 100);
        const pictureAspect = picture.hidden || !picture.naturalHeight ? 1 : picture.naturalWidth / picture.naturalHeight;
        this.view.setAspect(this.#aspect || pictureAspect);
    }

    // What is chosen

    /** @param {readonly string[]} colors */
    select(colors) {
        this.#adding = false;
        this.#setSelected(colors);
    }

    /**
     * Takes a region into what is chosen, or out of it.
     * @param {string} color
     */
    toggle(color) {
        const others = this.selected.filter((other) => other !== color);
        this.#setSelected(others.length < this.selected.length ? others : [...others, color]);
    }

    /**
     * The same by the keyboard, where what has the focus is chosen until the first of several has been.
     * @param {string} color
     */
    toggleByKey(color) {
        if (this.#adding) this.toggle(color);
        this.#adding = true;
        this.say(texts().editor.chosen(this.selected.length), false);
    }

    /** @param {readonly string[]} colors */
    #setSelected(colors) {
        if (String(colors) === String(this.selected)) return;
        this.selected = colors;
        this.#message = "";
        this.model.seal();
        this.draw();
        const last = colors.at(-1);
        if (last) this.view.prose.reveal(last);
    }

    /** @param {EventTarget | null} target */
    #onFocus(target) {
        const color = colorOf(target);
        if (color && !this.#adding && !this.selected.includes(color)) this.select([color]);
    }

    /**
     * Gives the focus to a box, or to the editor.
     * @param {string} [color]
     */
    focus(color) {
        if (color) this.view.boxes.focus(color);
        else this.view.root.focus({ preventScroll: true });
    }

    /** @param {string} color */
    focusBox(color) {
        this.select([color]);
        this.focus(color);
    }

    // What is done

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
            this.say(remarkInLanguage(error.message));
        }
    }

    /**
     * @param {string} message
     * @param {boolean} wrong whether it says that something could not be done
     */
    say(message, wrong = true) {
        this.#message = message;
        this.#wrong = wrong;
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
        listenToDrops(this, this.#on.bind(this), listenToProse(this, this.#on.bind(this)));
        listenToInspector(this, this.#on.bind(this));
        listenToPrompt(this, this.#on.bind(this));
        this.pasting.listen(this.#on.bind(this));
        this.#on(view.prompt.follows, "change", () => {
            this.#host.followed(view.prompt.follows.checked);
            this.attempt(() => this.model.followPlan(view.prompt.follows.checked));
        });
        const { toolbar, numbers } = view;
        const buttons = { ...toolbar.tools, ...numbers.align, ...numbers.distribute, large: toolbar.large };
        for (const [name, button] of Object.entries(buttons)) this.#on(button, "click", () => this.use(name));
        for (const field of numbers.fields) this.#on(field, "change", () => this.#setNumber(field));
        view.variants.listen(this.#on.bind(this), (index) => this.model.choose(index));
        this.#on(view.bar.keepMine, "click", () => this.model.keepMine());
        this.#on(view.bar.takeNew, "click", () => this.model.takeNew());
        this.#on(view.bar.replan, "click", () => this.attempt(() => this.say(this.#host.replanned(this.model.replan()))));
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
        this.#on(svg, "dblclick", () => this.renaming.start());
        this.#on(svg, "contextmenu", (event) => this.#onContextMenu(event));
        this.#on(svg, "focusin", (event) => this.#onFocus(event.target));
        this.#on(svg, "focusout", ({ relatedTarget }) => {
            if (!svg.contains(/** @type {Node | null} */ (relatedTarget))) this.#adding = false;
        });
    }

    /** @type {Listen} */
    #on(target, name, listener) {
        target.addEventListener(name, /** @type {EventListener} */ (listener), { signal: this.#listeners.signal });
    }

    /** @param {string} command of a button, a key or a menu */
    use(command) {
        if (command === "undo") this.undo();
        else if (command === "redo") this.redo();
        else if (command === "add") this.add(NEW_BOX);
        else if (command === "all") this.select(this.model.chain.regions.map(({ color }) => color));
        else if (command === "large") this.largeView.toggle();
        else if (command === "details") this.#toggleInspector();
        else if (this.selected.length) doBoxCommand(this, command);
    }

    /** Opens the inspector at the choice that most want first, and gives the focus back when it is closed. */
    #toggleInspector() {
        const { inspector } = this.view;
        inspector.isOpen = !inspector.isOpen;
        this.draw();
        if (inspector.isOpen) inspector.lettering.focus({ preventScroll: true });
        else this.focus(this.selected[0]);
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
            this.renaming.start();
        });
    }

    /**
     * @param {HTMLInputElement} field
     */
    #setNumber(field) {
        const [color] = this.selected;
        const box = this.model.region(color)?.box;
        field.dataset.drawn = "";  // whatever was typed, the field says what has become of it
        if (box && field.value.trim() && Number.isFinite(field.valueAsNumber)) {
            this.attempt(() => this.model.move(color, withNumber(box, field.name, field.valueAsNumber)));
        }
        this.draw();
    }

    // The menu of a box

    /** @param {MouseEvent} event */
    #onContextMenu(event) {
        if (!this.model.editable) return;
        const byKey = event.target instanceof Element && event.target.matches("[data-testid=got-box]");
        const color = byKey ? colorOf(event.target) : this.pointer.under(event)[0]?.color;
        if (!color) return;
        event.preventDefault();
        event.stopPropagation();
        if (!this.selected.includes(color)) this.select([color]);
        this.focus(color);
        const place = byKey ? this.view.boxes.screenOf(color) : null;
        this.openMenu(place ? middle(place) : { x: event.clientX, y: event.clientY });
    }

    /** @param {{x: number, y: number}} point on the screen */
    openMenu(point) {
        this.view.menu.open(boxMenu(this.model, this.selected), point, (command) => this.use(command));
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

/** @param {DOMRect} rectangle */
function middle({ left, top, width, height }) {
    return { x: left + width / 2, y: top + height / 2 };
}
