/** Text that is dragged onto the editor, from it or from elsewhere: it is taken as if it were pasted there. */

import { holdsBoxes } from "./clipboard.js";
import { mayBePlan } from "./paste.js";
import { copy } from "./typing.js";

/**
 * @typedef {import("./controller.js").ChainEditor} ChainEditor
 * @typedef {import("./controller.js").Listen} Listen
 */

const FIELDS = "input, textarea";
/** What ComfyUI takes: files, and pictures and workflows by their address. */
const NOT_TEXT = ["Files", "text/uri-list"];

/**
 * @param {ChainEditor} editor
 * @param {Listen} on
 * @param {import("./typing.js").Typing} typing
 */
export function listenToDrops(editor, on, { type, insert }) {
    const { root, prose } = editor.view;
    /** Whether what is dragged comes from the prose itself. */
    let moves = false;
    on(prose.element, "dragstart", (event) => {
        moves = true;
        if (event.dataTransfer) copy(editor, event.dataTransfer);
    });
    on(prose.element, "dragend", () => (moves = false));
    on(root, "dragover", (event) => {
        if (!heldText(event) || isIn(event, FIELDS)) return;
        event.stopPropagation();
        if (!prose.element.contains(/** @type {Node} */ (event.target))) event.preventDefault();  // there the browser shows the place
    });
    on(root, "drop", (event) => {
        const held = heldText(event);
        if (!held) return;
        event.stopPropagation();  // ComfyUI would keep the text out of fields, too
        if (isIn(event, FIELDS)) return;
        event.preventDefault();
        if (!editor.model.editable) return;
        const text = held.getData("text/plain");
        if (!prose.element.contains(/** @type {Node} */ (event.target))) return editor.pasting.take(text);
        const leaves = moves && !event.ctrlKey;
        if (!prose.goTo(event.clientX, event.clientY, leaves)) return;
        if (leaves) type();
        if (holdsBoxes(held)) insert(held);
        else if (!moves && mayBePlan(text)) editor.pasting.take(text);
        else document.execCommand("insertText", false, text);
    });
}

/**
 * What is dragged, if it is text.
 * @param {DragEvent} event
 */
function heldText({ dataTransfer }) {
    const types = dataTransfer?.types ?? [];
    return types.includes("text/plain") && !NOT_TEXT.some((type) => types.includes(type)) ? dataTransfer : null;
}

/**
 * @param {Event} event
 * @param {string} selector
 */
function isIn(event, selector) {
    return /** @type {Element} */ (event.target).closest(selector) !== null;
}
