/** The plan in words: prose in which every box is a coloured chip behind its words. */

import { texts } from "../comfyui/language.js";
import { colorOf, element } from "./elements.js";
import { OBJECT_END, OBJECT_START, scan } from "./notation.js";

/** @typedef {import("./chain.js").Chain} Chain */

const PROBLEM_HIGHLIGHT = "got-chain-problem";

export class Prose {
    #drawn = "";
    /** @type {Range | null} */
    #problem = null;
    /** The region whose words were scrolled to last. */
    #revealed = "";

    constructor() {
        this.element = element("div", {
            class: "got-text", role: "textbox", "aria-multiline": "true", "aria-label": texts().editor.planInWords,
            "data-testid": "got-chain-text", "data-capture-wheel": "true", spellcheck: "false", tabindex: "0",
            "data-placeholder": texts().editor.example,
        });
    }

    /** As it was typed. */
    get text() {
        return proseText(this.element);
    }

    get selected() {
        return selectedProse();
    }

    /**
     * @param {string} text
     * @param {Chain | null} chain null: the text is no chain yet
     * @param {boolean} editable
     */
    draw(text, chain, editable) {
        this.element.setAttribute("contenteditable", editable ? "plaintext-only" : "false");
        this.element.setAttribute("aria-readonly", String(!editable));
        const drawn = JSON.stringify([text, chain?.regions]);
        if (drawn === this.#drawn && this.text === text) return;
        this.#drawn = drawn;
        const fromEnd = caretFromEnd(this.element);
        this.element.replaceChildren(...(chain ? chainPieces(chain) : draftPieces(text)));
        if (fromEnd !== null) putCaret(this.element, fromEnd);
    }

    /**
     * Shows which words and chips are selected, which are locked, and which are not drawn.
     * @param {(color: string) => boolean} isSelected
     * @param {(color: string) => boolean} isLocked
     * @param {(color: string) => boolean} isOff
     */
    mark(isSelected, isLocked, isOff) {
        for (const part of this.element.querySelectorAll("[data-color]")) {
            const { color = "" } = /** @type {HTMLElement} */ (part).dataset;
            part.classList.toggle("got-selected", isSelected(color));
            part.classList.toggle("got-locked", isLocked(color));
            part.classList.toggle("got-off", isOff(color));
        }
    }

    /**
     * Scrolls to the words of a region; not with scrollIntoView, which scrolls ComfyUI as well.
     * @param {string} color
     */
    reveal(color) {
        this.#revealed = color;
        const words = /** @type {HTMLElement | null} */ (this.element.querySelector(`[data-color="${color}"]`));
        if (!words) return;
        const { scrollTop, clientHeight } = this.element;
        const [top, bottom] = [words.offsetTop, words.offsetTop + words.offsetHeight];
        if (top < scrollTop) this.element.scrollTop = top;
        if (bottom > scrollTop + clientHeight) this.element.scrollTop = bottom - clientHeight;
    }

    /** Scrolls there again, where something else in the editor has taken room from the prose. */
    revealAgain() {
        if (document.activeElement !== this.element) this.reveal(this.#revealed);
    }

    /**
     * Puts the caret where something was dropped.
     * @param {number} x on the screen
     * @param {number} y
     * @param {boolean} moves whether what is selected is what was dropped: it leaves its place
     * @returns {boolean} false: it was dropped on itself
     */
    goTo(x, y, moves) {
        const place = placeAt(this.element, x, y);
        const selection = document.getSelection();
        if (!selection) return false;
        if (moves && selection.rangeCount) {
            if (selection.getRangeAt(0).comparePoint(place.startContainer, place.startOffset) === 0) return false;
            selection.deleteFromDocument();
        }
        this.element.focus({ preventScroll: true });
        selection.removeAllRanges();
        selection.addRange(place);
        return true;
    }

    /** @param {{start: number, end: number} | null} problem a range of the text */
    underline(problem) {
        this.element.setAttribute("aria-invalid", String(problem !== null));
        const highlights = globalThis.CSS?.highlights;
        if (!highlights) return;  // an older browser: the message still says what is wrong
        let highlight = highlights.get(PROBLEM_HIGHLIGHT);
        if (!highlight) highlights.set(PROBLEM_HIGHLIGHT, highlight = new Highlight());
        if (this.#problem) highlight.delete(this.#problem);
        this.#problem = problem && proseRange(this.element, problem.start, problem.end);
        if (this.#problem) highlight.add(this.#problem);
    }
}

/**
 * The prose of an element that holds words and chips.
 * @param {Node} node
 * @returns {string}
 */
function proseText(node) {
    if (node instanceof Text) return node.data;
    if (node instanceof HTMLBRElement) return "\n";
    if (node instanceof HTMLElement && node.dataset.markup) return node.dataset.markup;
    return Array.from(node.childNodes, proseText).join("");
}

/**
 * What is selected: its text, with boxes as they are written, and the colours of these boxes; null: nothing.
 * @returns {{text: string, colors: readonly string[]} | null}
 */
export function selectedProse() {
    const selection = document.getSelection();
    if (!selection?.rangeCount) return null;
    const selected = selection.getRangeAt(0).cloneContents();
    const colors = Array.from(selected.querySelectorAll(".got-chip"), (chip) => colorOf(chip) ?? "");
    return { text: proseText(selected), colors };
}

/** @param {Chain} chain */
function chainPieces({ text, regions }) {
    /** @type {Node[]} */
    const pieces = [];
    let done = 0;
    for (const [index, { phrase, color, span: [start, end] }] of regions.entries()) {
        pieces.push(new Text(text.slice(done, start)));
        const marked = text.startsWith(OBJECT_START, start);
        const words = element("span", { class: "got-phrase", "data-color": color }, phrase);
        const wordsEnd = start + phrase.length + (marked ? OBJECT_START.length + OBJECT_END.length : 0);
        pieces.push(...(marked ? [marker(OBJECT_START), words, marker(OBJECT_END)] : [words]));
        const gap = phrase ? 1 : 0;
        pieces.push(new Text(text.slice(wordsEnd, wordsEnd + gap)), chip(color, text.slice(wordsEnd + gap, end), index + 1));
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
    for (const [index, { start, end, color }] of found.entries()) {
        if (wrong.has(start)) continue;
        pieces.push(new Text(text.slice(done, start)), chip(color ?? "gray", text.slice(start, end), index + 1));
        done = end;
    }
    return [...pieces, new Text(text.slice(done))];
}

/**
 * @param {string} color
 * @param {string} markup
 * @param {number} number of its box
 */
function chip(color, markup, number) {
    const shown = element("span", {
        class: "got-chip", contenteditable: "false", role: "img", "aria-label": texts().editor.chip(number),
        "data-color": color, "data-markup": markup, "data-number": String(number), title: markup,
    });
    shown.style.borderColor = color;
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
 * The place in the prose at a point on the screen; beside all words, their end.
 * @param {HTMLElement} prose
 * @param {number} x
 * @param {number} y
 */
function placeAt(prose, x, y) {
    const place = document.createRange();
    const { offsetNode, offset = 0 } = document.caretPositionFromPoint?.(x, y) ?? {};
    const range = offsetNode ? null : document.caretRangeFromPoint?.(x, y);  // older browsers
    const [node, at] = [offsetNode ?? range?.startContainer ?? prose, offset || range?.startOffset || 0];
    const marked = (node instanceof Element ? node : node.parentElement)?.closest("[data-markup]");
    if (marked) place.setStartAfter(marked);
    else if (node !== prose && prose.contains(node)) place.setStart(node, at);
    else place.setStart(prose, prose.childNodes.length);
    return place;
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
