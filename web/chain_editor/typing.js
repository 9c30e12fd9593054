/** What is typed into the prose and the prompt, and copied from them. */

import { colorOf } from "./elements.js";
import { copyProse } from "./prose.js";

/**
 * @typedef {import("./controller.js").ChainEditor} ChainEditor
 * @typedef {import("./controller.js").Listen} Listen
 */

/**
 * @param {ChainEditor} editor
 * @param {Listen} on
 */
export function listenToProse(editor, on) {
    const { model, view: { prose } } = editor;
    const type = () => editor.attempt(() => {
        if (model.editable) model.write(prose.text);
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
    on(prose.element, "copy", (event) => copyProse(event));
    on(prose.element, "cut", (event) => {
        copyProse(event);
        if (!model.editable) return;
        document.getSelection()?.deleteFromDocument();
        type();
    });
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
