/**
 * Draws the editor. Boxes are real elements, known by the colour of their region, and stay the same elements from one
 * drawing to the next. Whatever comes from a chain goes in as text nodes and attributes.
 */

import { HANDLES } from "./geometry.js";
import { coordinatesNotRead } from "./lookalikes.js";
import { OBJECT_END, OBJECT_START, scan } from "./notation.js";

/**
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./chain.js").Chain} Chain
 * @typedef {import("./notation.js").Region} Region
 * @typedef {import("./geometry.js").Guide} Guide
 * @typedef {import("./model.js").ChainModel} ChainModel
 */

const ICONS = {
    undo: "M6 3 2.5 6.5 6 10M2.5 6.5H10a3.5 3.5 0 0 1 0 7H6",
    redo: "M10 3l3.5 3.5L10 10M13.5 6.5H6a3.5 3.5 0 0 0 0 7h4",
    add: "M8 3v10M3 8h10",
    duplicate: "M5.5 5.5H13V13H5.5ZM3 10.5V3h7.5",
    lock: "M4 7.5h8v6H4ZM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
    rename: "M3 13l.5-2.5 7-7 2 2-7 7Z",
    remove: "M3 4.5h10M6 4.5V3h4v1.5M4.5 4.5 5 13h6l.5-8.5",
};

const TOOLS = /** @type {const} */ ([
    ["undo", "Undo (Ctrl+Z)"],
    ["redo", "Redo (Ctrl+Y)"],
    ["add", "Add a box, or draw one on the picture"],
    ["rename", "Rename the box (Enter)"],
    ["lock", "Lock the box: it stays as it is (L)"],
    ["duplicate", "Duplicate the box (Ctrl+D)"],
    ["remove", "Remove the box (Delete)"],
]);

const EMPTY = "Run the workflow once: the plan appears here.";
const PROBLEM_HIGHLIGHT = "got-chain-problem";

export class ChainView {
    /** @type {Record<string, HTMLButtonElement>} by the tool's name */
    tools = {};

    constructor() {
        this.toolbar = element("div", { class: "got-toolbar", role: "toolbar", "aria-label": "Boxes" });
        for (const [name, title] of TOOLS) {
            this.tools[name] = toolButton(name, title);
            this.toolbar.append(this.tools[name]);
        }
        this.background = element("select", { "aria-label": "Background", title: "What lies behind the boxes" });
        for (const [value, label] of [["generated", "Last picture"], ["reference", "Reference"], ["black", "Black"]]) {
            this.background.append(element("option", { value }, label));
        }
        this.opacity = element("input", {
            type: "range", min: "0", max: "100", value: "70", title: "How visible the background is",
            "aria-label": "Opacity of the background",
        });
        this.toolbar.append(element("span", { class: "got-gap" }), this.background, this.opacity);

        this.bar = element("div", { class: "got-bar", role: "status", hidden: "" });
        this.barText = element("span", {});
        this.keepMine = barButton("got-keep-mine", "Keep mine", "Go on with your version");
        this.takeNew = barButton("got-take-new", "Take new", "Go on with the incoming plan; undo brings yours back");
        this.merge = barButton("got-merge", "Merge", "Locked boxes stay, the rest is new");
        this.bar.append(this.barText, this.keepMine, this.takeNew, this.merge);

        this.picture = element("img", { alt: "", draggable: "false", hidden: "" });
        this.svg = shape("svg", { role: "group", "aria-label": "Boxes on the picture" });
        this.boxes = shape("g", {});
        this.guides = shape("g", { class: "got-guides" });
        this.handles = shape("g", { class: "got-handles" });
        this.svg.append(this.boxes, this.guides, this.handles);
        this.labels = element("div", { class: "got-labels" });
        this.empty = element("div", { class: "got-empty" }, EMPTY);
        this.canvas = element("div", { class: "got-canvas" });
        this.canvas.append(this.picture, this.svg, this.labels, this.empty);
        const stage = element("div", { class: "got-stage" });
        stage.append(this.canvas);

        this.text = element("div", {
            class: "got-text", role: "textbox", "aria-multiline": "true", "aria-label": "The plan in words",
            "data-testid": "got-chain-text", "data-capture-wheel": "true", spellcheck: "false", tabindex: "0",
        });
        this.message = element("div", { class: "got-message", role: "status", "aria-live": "polite" });
        this.root = element("div", {
            class: "got-chain-editor", role: "group", "aria-label": "Chain editor", "data-testid": "got-chain-editor",
            tabindex: "-1",
        });
        this.root.append(this.toolbar, this.bar, stage, this.text, this.message);

        /** @type {Map<string, SVGElement>} */
        this.boxOf = new Map();
        /** @type {Map<string, HTMLElement>} */
        this.labelOf = new Map();
        /** @type {Range | null} */
        this.problem = null;
        this.prose = "";
    }

    /**
     * @param {ChainModel} model
     * @param {string | null} selected a region's colour
     * @param {string} message
     */
    draw(model, selected, message) {
        const { chain, draft, editable } = model;
        const region = model.region(selected);
        const locked = selected !== null && model.isLocked(selected);
        this.root.classList.toggle("got-streaming", model.streamed !== null);
        this.empty.hidden = chain !== null;
        this.tools.undo.disabled = !model.canUndo || !editable;
        this.tools.redo.disabled = !model.canRedo || !editable;
        this.tools.add.disabled = !editable;
        this.tools.lock.setAttribute("aria-pressed", String(locked));
        for (const name of ["rename", "lock", "duplicate", "remove"]) this.tools[name].disabled = !region || !editable;
        for (const name of ["rename", "remove"]) this.tools[name].disabled ||= locked;
        this.#drawBar(model);
        this.#drawBoxes(chain?.regions ?? [], model, selected);
        this.#drawHandles(editable && !locked ? region : null);
        this.#drawProse(draft?.text ?? chain?.text ?? "", draft ? null : chain, editable);
        for (const part of this.text.querySelectorAll("[data-color]")) {
            const { color = "" } = /** @type {HTMLElement} */ (part).dataset;
            part.classList.toggle("got-selected", color === selected);
            part.classList.toggle("got-locked", model.isLocked(color));
        }
        this.underline(draft);
        this.text.setAttribute("aria-invalid", String(draft !== null));
        const warning = chain && !draft && !model.streamed ? coordinatesNotRead(chain.text) : null;
        const wrong = message || draft?.message || warning;
        this.message.textContent = wrong || (model.streamed ? "The plan is being written" : "");
        this.message.classList.toggle("got-wrong", Boolean(wrong));
    }

    /**
     * A box as it is being dragged.
     * @param {string} color
     * @param {Box} box
     * @param {readonly Guide[]} guides
     */
    preview(color, box, guides) {
        const group = this.boxOf.get(color);
        if (group) place(group, box);
        const label = this.labelOf.get(color);
        if (label) placeLabel(label, box);
        this.#placeHandles(box);
        this.showGuides(guides);
    }

    /** @param {readonly Guide[]} guides */
    showGuides(guides) {
        this.guides.replaceChildren(...guides.map(({ axis, at }) => shape("line", axis === "x"
            ? { x1: percent(at), x2: percent(at), y1: "0", y2: "100%" }
            : { y1: percent(at), y2: percent(at), x1: "0", x2: "100%" })));
    }

    /**
     * The rectangle of a new box.
     * @param {Box | null} box
     */
    showDrawn(box) {
        this.drawn?.remove();
        this.drawn = undefined;
        if (!box) return;
        this.drawn = shape("rect", { class: "got-drawn", ...frame(box) });
        this.svg.append(this.drawn);
    }

    /**
     * @param {string} url empty: none
     * @param {number} opacity in [0, 1]
     */
    showPicture(url, opacity) {
        this.picture.hidden = url === "";
        if (url !== (this.picture.getAttribute("src") ?? "")) this.picture.setAttribute("src", url);
        this.picture.style.opacity = String(opacity);
    }

    /** @param {number} aspect width over height */
    setAspect(aspect) {
        this.canvas.style.setProperty("--got-aspect", String(aspect));
    }

    /**
     * Scrolls the prose to the words of a region; not with scrollIntoView, which scrolls ComfyUI as well.
     * @param {string} color
     */
    reveal(color) {
        const words = /** @type {HTMLElement | null} */ (this.text.querySelector(`[data-color="${color}"]`));
        if (!words) return;
        const { scrollTop, clientHeight } = this.text;
        const [top, bottom] = [words.offsetTop, words.offsetTop + words.offsetHeight];
        if (top < scrollTop) this.text.scrollTop = top;
        if (bottom > scrollTop + clientHeight) this.text.scrollTop = bottom - clientHeight;
    }

    /**
     * A field for new words, in the place of a box's label.
     * @param {Region} region
     */
    openRename({ phrase, box, color }) {
        const field = element("input", { type: "text", class: "got-rename", "aria-label": `New words for ${phrase}` });
        field.value = phrase;
        field.style.borderColor = color;
        placeLabel(field, box);
        this.labels.append(field);
        field.focus({ preventScroll: true });
        field.select();
        return field;
    }

    /** @param {{start: number, end: number} | null} problem a range of the prose */
    underline(problem) {
        const highlights = globalThis.CSS?.highlights;
        if (!highlights) return;  // an older browser: the message still says what is wrong
        let highlight = highlights.get(PROBLEM_HIGHLIGHT);
        if (!highlight) highlights.set(PROBLEM_HIGHLIGHT, highlight = new Highlight());
        if (this.problem) highlight.delete(this.problem);
        this.problem = problem && proseRange(this.text, problem.start, problem.end);
        if (this.problem) highlight.add(this.problem);
    }

    remove() {
        this.underline(null);
        this.root.remove();
    }

    /** @param {ChainModel} model */
    #drawBar(model) {
        this.bar.hidden = !model.upstreamChanged && !model.unreadable;
        this.keepMine.hidden = this.merge.hidden = model.unreadable !== null;
        this.keepMine.disabled = !model.fitsIncoming;
        this.takeNew.textContent = model.unreadable ? "Start again" : "Take new";
        this.barText.textContent = model.unreadable
            ? `The saved version cannot be read: ${model.unreadable.message}`
            : !model.fitsIncoming ? "The incoming plan is for another task."
            : model.takesNew ? "A new plan came in and is used." : "A new plan came in. Yours is used.";
    }

    /**
     * @param {readonly Region[]} regions
     * @param {ChainModel} model
     * @param {string | null} selected
     */
    #drawBoxes(regions, model, selected) {
        const colors = new Set(regions.map(({ color }) => color));
        for (const drawn of [this.boxOf, this.labelOf]) {
            for (const [color, old] of drawn) {
                if (colors.has(color)) continue;
                old.remove();
                drawn.delete(color);
            }
        }
        regions.forEach(({ phrase, box, color }, index) => {
            const locked = model.isLocked(color);
            const group = this.boxOf.get(color) ?? newBox(color);
            this.boxOf.set(color, group);
            if (this.boxes.children[index] !== group) this.boxes.insertBefore(group, this.boxes.children[index] ?? null);
            group.dataset.phrase = phrase;
            group.setAttribute("aria-label", describe(phrase, box, color, locked));
            group.setAttribute("aria-pressed", String(color === selected));
            group.classList.toggle("got-selected", color === selected);
            group.classList.toggle("got-locked", locked);
            place(group, box);

            const label = this.labelOf.get(color) ?? newLabel(color);
            this.labelOf.set(color, label);
            if (!label.isConnected) this.labels.append(label);
            label.children[1].textContent = phrase || color;
            label.classList.toggle("got-selected", color === selected);
            label.classList.toggle("got-locked", locked);
            placeLabel(label, box);
        });
    }

    /** @param {Region | null} region */
    #drawHandles(region) {
        if (!region) return this.handles.replaceChildren();
        if (!this.handles.firstChild) {
            this.handles.append(...Object.keys(HANDLES).map((name) => shape("circle", { "data-handle": name, r: "5" })));
        }
        this.#placeHandles(region.box);
    }

    /** @param {Box} box */
    #placeHandles([x1, y1, x2, y2]) {
        for (const handle of this.handles.children) {
            const pull = HANDLES[handle.getAttribute("data-handle") ?? ""];
            handle.setAttribute("cx", percent((x1 + x2 + pull.x * (x2 - x1)) / 2));
            handle.setAttribute("cy", percent((y1 + y2 + pull.y * (y2 - y1)) / 2));
        }
    }

    /**
     * @param {string} text
     * @param {Chain | null} chain null: the text is no chain yet
     * @param {boolean} editable
     */
    #drawProse(text, chain, editable) {
        this.text.setAttribute("contenteditable", editable ? "plaintext-only" : "false");
        this.text.setAttribute("aria-readonly", String(!editable));
        const drawn = JSON.stringify([text, chain?.regions]);
        if (drawn === this.prose && proseText(this.text) === text) return;
        this.prose = drawn;
        const fromEnd = caretFromEnd(this.text);
        this.text.replaceChildren(...(chain ? chainPieces(chain) : draftPieces(text)));
        if (fromEnd !== null) putCaret(this.text, fromEnd);
    }
}

/**
 * The prose of an element that holds words and chips.
 * @param {Node} node
 * @returns {string}
 */
export function proseText(node) {
    if (node instanceof Text) return node.data;
    if (node instanceof HTMLBRElement) return "\n";
    if (node instanceof HTMLElement && node.dataset.markup) return node.dataset.markup;
    return Array.from(node.childNodes, proseText).join("");
}

/** @param {Chain} chain */
function chainPieces({ text, regions }) {
    /** @type {Node[]} */
    const pieces = [];
    let done = 0;
    for (const { phrase, color, span: [start, end] } of regions) {
        pieces.push(new Text(text.slice(done, start)));
        const marked = text.startsWith(OBJECT_START, start);
        const words = element("span", { class: "got-phrase", "data-color": color }, phrase);
        const wordsEnd = start + phrase.length + (marked ? OBJECT_START.length + OBJECT_END.length : 0);
        pieces.push(...(marked ? [marker(OBJECT_START), words, marker(OBJECT_END)] : [words]));
        const gap = phrase ? 1 : 0;
        pieces.push(new Text(text.slice(wordsEnd, wordsEnd + gap)), chip(color, text.slice(wordsEnd + gap, end)));
        done = end;
    }
    return [...pieces, new Text(text.slice(done))];
}

/**
 * A box with something wrong stays as it was typed, so that it can be mended.
 * @param {string} text
 */
function draftPieces(text) {
    const { found, problems } = scan(text);
    const wrong = new Set(problems.map((problem) => problem.start));
    /** @type {Node[]} */
    const pieces = [];
    let done = 0;
    for (const { start, end, color } of found.filter((box) => !wrong.has(box.start))) {
        pieces.push(new Text(text.slice(done, start)), chip(color ?? "gray", text.slice(start, end)));
        done = end;
    }
    return [...pieces, new Text(text.slice(done))];
}

/**
 * @param {string} color
 * @param {string} markup
 */
function chip(color, markup) {
    const shown = element("span", {
        class: "got-chip", contenteditable: "false", role: "img", "aria-label": `${color} box`,
        "data-color": color, "data-markup": markup, title: markup,
    });
    shown.style.backgroundColor = color;
    return shown;
}

/** @param {string} markup */
function marker(markup) {
    return element("span", { class: "got-marker", contenteditable: "false", "data-markup": markup });
}

/** @param {HTMLElement} prose */
function caretFromEnd(prose) {
    const selection = document.getSelection();
    if (!selection?.focusNode || document.activeElement !== prose || !prose.contains(selection.focusNode)) return null;
    const rest = document.createRange();
    rest.selectNodeContents(prose);
    rest.setStart(selection.focusNode, selection.focusOffset);
    return proseText(rest.cloneContents()).length;
}

/**
 * @param {HTMLElement} prose
 * @param {number} fromEnd
 */
function putCaret(prose, fromEnd) {
    const offset = Math.max(proseText(prose).length - fromEnd, 0);
    document.getSelection()?.collapse(...prosePoint(prose, offset));
}

/**
 * @param {HTMLElement} prose
 * @param {number} start
 * @param {number} end
 */
function proseRange(prose, start, end) {
    const range = document.createRange();
    range.setStart(...prosePoint(prose, start));
    range.setEnd(...prosePoint(prose, end));
    return range;
}

/**
 * Where in the elements a place in the prose is; a chip has no inside.
 * @param {Node} node
 * @param {number} offset
 * @returns {[Node, number]}
 */
function prosePoint(node, offset) {
    for (const [index, child] of node.childNodes.entries()) {
        const { length } = proseText(child);
        if (offset > length || (offset === length && !(child instanceof Text))) {
            offset -= length;
            continue;
        }
        if (child instanceof Text) return [child, offset];
        if (child instanceof HTMLElement && child.dataset.markup) return [node, index];
        return prosePoint(child, offset);
    }
    return [node, node.childNodes.length];
}

/** @param {string} color */
function newBox(color) {
    const group = shape("g", { "data-testid": "got-box", "data-color": color, role: "button", tabindex: "0" });
    const inside = shape("rect", { class: "got-inside" });
    inside.style.fill = inside.style.stroke = color;
    group.append(shape("rect", { class: "got-outline" }), inside);
    return group;
}

/** @param {string} color */
function newLabel(color) {
    const label = element("div", { class: "got-label", "aria-hidden": "true" });
    const dot = element("span", { class: "got-dot" });
    dot.style.backgroundColor = color;
    label.append(dot, element("span", { class: "got-words" }), icon("lock"));
    return label;
}

/**
 * @param {SVGElement} group
 * @param {Box} box
 */
function place(group, box) {
    group.dataset.box = box.join(",");
    for (const rectangle of group.children) setAttributes(rectangle, frame(box));
}

/**
 * In the box's corner that leaves more room for words, and never off the picture.
 * @param {HTMLElement} label
 * @param {Box} box
 */
function placeLabel(label, [x1, y1, x2]) {
    const leftward = x1 + x2 > 1000;
    label.style.left = leftward ? "" : percent(x1);
    label.style.right = leftward ? percent(1000 - x2) : "";
    label.style.top = `min(${percent(y1)}, 100% - 28px)`;
    label.style.maxWidth = `calc(${percent(leftward ? x2 : 1000 - x1)} - 8px)`;
}

/** @param {Box} box */
function frame([x1, y1, x2, y2]) {
    return { x: percent(x1), y: percent(y1), width: percent(x2 - x1), height: percent(y2 - y1) };
}

/** @param {number} grid */
function percent(grid) {
    return `${grid / 10}%`;
}

/**
 * @param {string} phrase
 * @param {Box} box
 * @param {string} color
 * @param {boolean} locked
 */
function describe(phrase, [x1, y1, x2, y2], color, locked) {
    return `${phrase || "no words"}, ${color} box from ${x1}, ${y1} to ${x2}, ${y2}${locked ? ", locked" : ""}`;
}

/**
 * @param {keyof typeof ICONS} name
 * @param {string} title
 */
function toolButton(name, title) {
    const button = element("button", { type: "button", title, "aria-label": title, "data-testid": `got-${name}` });
    button.append(icon(name));
    return button;
}

/** @param {keyof typeof ICONS} name */
function icon(name) {
    const drawing = shape("svg", { class: "got-icon", viewBox: "0 0 16 16", "aria-hidden": "true" });
    drawing.append(shape("path", { d: ICONS[name] }));
    return drawing;
}

/**
 * @param {string} identity
 * @param {string} label
 * @param {string} title
 */
function barButton(identity, label, title) {
    return element("button", { type: "button", title, "data-testid": identity }, label);
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string>} attributes
 * @param {string} text
 */
function element(name, attributes, text = "") {
    const made = document.createElement(name);
    setAttributes(made, attributes);
    if (text) made.append(text);
    return made;
}

/**
 * @param {keyof SVGElementTagNameMap} name
 * @param {Record<string, string>} attributes
 */
function shape(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    setAttributes(made, attributes);
    return made;
}

/**
 * @param {Element} target
 * @param {Record<string, string>} attributes
 */
function setAttributes(target, attributes) {
    for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, value);
}
