/** What can be done to the chosen boxes, whether by a button, a key or the menu. */

import { texts } from "../comfyui/language.js";
import { aligned, distributed } from "./alignment.js";

/**
 * @typedef {import("./controller.js").ChainEditor} ChainEditor
 * @typedef {import("./model.js").ChainModel} ChainModel
 * @typedef {import("./menu.js").Command} Command
 */

/**
 * What the menu offers.
 * @param {ChainModel} model
 * @param {readonly string[]} selected colours of regions
 * @returns {(Command | null)[]} null: a line
 */
export function boxMenu(model, selected) {
    const locked = selected.filter((color) => model.isLocked(color));
    const fixed = locked.length > 0;
    const { menu: say } = texts();
    return [
        { name: "rename", label: say.rename, keys: "Enter", disabled: fixed || selected.length > 1 },
        { name: "lock", label: locked.length === selected.length ? say.unlock : say.lock, keys: "L" },
        { name: "duplicate", label: say.duplicate, keys: "Ctrl+D" },
        null,
        { name: "shown", label: selected.every((color) => model.isOff(color)) ? say.show : say.hide, keys: "H" },
        { name: "details", label: say.details, keys: "I" },
        null,
        { name: "raise", label: say.raise, keys: "]" },
        { name: "lower", label: say.lower, keys: "[" },
        { name: "front", label: say.front },
        { name: "back", label: say.back },
        null,
        { name: "remove", label: say.remove, keys: "Delete", disabled: fixed },
    ];
}

/**
 * @param {ChainEditor} editor with at least one box chosen
 * @param {string} command
 */
export function doBoxCommand(editor, command) {
    const { model, selected } = editor;
    if (command === "more") editor.openMenu(editor.view.toolbar.tools.more.getBoundingClientRect());
    else if (command === "rename") editor.renaming.start();
    else if (command === "lock") editor.attempt(() => model.toggleLock(...selected));
    else if (command === "duplicate") editor.attempt(() => duplicate(editor));
    else if (command === "remove") editor.attempt(() => remove(editor));
    else if (command === "shown") editor.attempt(() => toggleShown(editor));
    else if (command === "raise" || command === "lower") editor.attempt(() => reorder(editor, command === "raise" ? 1 : -1));
    else if (command === "front" || command === "back") editor.attempt(() => model.stack(selected, command));
    else editor.attempt(() => model.place(arranged(model.boxesOf(selected), command)));
}

/** @param {ChainEditor} editor */
function duplicate(editor) {
    const copies = editor.model.duplicate(...editor.selected);
    editor.select(copies);
    editor.focus(copies[0]);
}

/**
 * Switches these boxes off; switches them on where all are off.
 * @param {ChainEditor} editor
 */
function toggleShown({ model, selected }) {
    const on = selected.every((color) => model.isOff(color));
    model.describe(selected, (detail) => ({ ...detail, on }));
}

/**
 * @param {ChainEditor} editor
 * @param {number} by
 */
function reorder({ model, selected }, by) {
    model.describe(selected, (detail) => ({ ...detail, order: detail.order + by }));
}

/** @param {ChainEditor} editor */
function remove(editor) {
    const { model, selected } = editor;
    const colors = model.chain.regions.map((region) => region.color);
    const last = colors.findLastIndex((color) => selected.includes(color));
    const next = colors[last + 1] ?? colors.findLast((color) => !selected.includes(color));
    model.remove(...selected);
    if (next) editor.focusBox(next);
}

/**
 * @param {ReadonlyMap<string, import("./notation.js").Box>} boxes
 * @param {string} command
 */
function arranged(boxes, command) {
    const before = [...boxes.values()];
    const axis = { across: /** @type {const} */ (0), down: /** @type {const} */ (1) }[command];
    const after = axis === undefined ? aligned(before, command) : distributed(before, axis);
    return new Map([...boxes.keys()].map((color, index) => [color, after[index]]));
}
