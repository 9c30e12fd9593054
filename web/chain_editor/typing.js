/** What is typed and pasted into the prose and the prompt, and copied from the prose. */

import { holdsBoxes, proseOnClipboard, putOnClipboard } from "./clipboard.js";
import { colorOf } from "./elements.js";

/**
 * @typedef {import("./controller.js").ChainEditor} ChainEditor
 * @typedef {import("./controller.js").Listen} Listen
 *
 * Takes the prose as it stands now; and puts words with boxes where its caret is.
 * @typedef {{type: () => void, insert: (clipboard: DataTransfer) => void}} Typing
 */

/**
 * @param {ChainEditor} editor
 * @param {Listen} on
 * @returns {Typing}
 */
export function listenToProse(editor, on) {
    const { model, view: { prose } } = editor;
    /** @type {readonly import("./details.js").Stated[]} what the boxes say besides that are just being pasted */
    let pasted = [];
    const type = () => editor.attempt(() => {
        if (model.editable) model.write(prose.text, pasted);
    });
    on(prose.element, "input", (event) => {
        if (!/** @type {InputEvent} */ (event).isComposing) type();
    });
    on(prose.element, "compositionend", type);
    on(prose.element, "beforeinput", (event) => onNativeUndo(editor, event));
    on(prose.element, "click", (event) => {
        const color = colorOf(event.target);
        editor.select(color ? [color] : []);
    });
    const insert = (/** @type {DataTransfer} */ clipboard) => {
        editor.attempt(() => {
            const replaced = prose.selected?.colors ?? [];
            const around = model.chain.regions.map(({ color }) => color).filter((color) => !replaced.includes(color));
            const { text, stated } = proseOnClipboard(clipboard, around);
            pasted = stated;
            document.execCommand("insertText", false, text);  // comes back as input
        });
        pasted = [];
    };
    on(prose.element, "copy", (event) => {
        if (event.clipboardData && copy(editor, event.clipboardData)) event.preventDefault();
    });
    on(prose.element, "cut", (event) => {
        if (event.clipboardData && copy(editor, event.clipboardData)) event.preventDefault();
        if (!model.editable) return;
        document.getSelection()?.deleteFromDocument();
        type();
    });
    on(prose.element, "paste", (event) => {
        const { clipboardData } = event;
        if (!model.editable || !clipboardData || !holdsBoxes(clipboardData)) return;
        event.preventDefault();
        event.stopPropagation();
        insert(clipboardData);
    });
    return { type, insert };
}

/**
 * @param {ChainEditor} editor
 * @param {DataTransfer} clipboard gets what is selected in the prose
 * @returns {boolean} whether anything is
 */
export function copy({ model, view: { prose: { selected } } }, clipboard) {
    if (!selected) return false;
    const regions = model.chain.regions.filter(({ color }) => selected.colors.includes(color));
    putOnClipboard(clipboard, selected.text, regions);
    return true;
}

/**
 * @param {ChainEditor} editor
 * @param {Listen} on
 */
export function listenToPrompt(editor, on) {
    const { model, view: { prompt } } = editor;
    const { field } = prompt;
    const type = (/** @type {string} */ text) => editor.attempt(() => {
        if (model.editable) model.writePrompt(text);
    });
    on(field, "input", (event) => {
        if (!/** @type {InputEvent} */ (event).isComposing && field.value.trim()) type(field.value);
    });
    on(field, "compositionend", () => type(field.value));
    on(field, "change", () => {
        if (!field.value.trim()) type("");  // not before: whoever empties the field may want to type another one
        prompt.reset();
    });
    on(field, "beforeinput", (event) => onNativeUndo(editor, event));
}

/**
 * The browser's own undo knows nothing of boxes.
 * @param {ChainEditor} editor
 * @param {InputEvent} event
 */
function onNativeUndo(editor, event) {
    if (!event.inputType.startsWith("history")) return;
    event.preventDefault();
    if (event.inputType === "historyUndo") editor.undo();
    else editor.redo();
}
