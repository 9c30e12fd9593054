/** The keys of the review. They count wherever nothing is being typed. */

const COMMANDS = /** @type {Record<string, string>} */ ({ a: "accept", x: "reject", n: "next", b: "back", v: "turn", o: "open" });

/**
 * What a key asks for; null: nothing here.
 * @param {KeyboardEvent} event
 * @returns {string | null}
 */
export function commandOf({ key, target, repeat, isComposing, ctrlKey, metaKey, altKey }) {
    if (isComposing || ctrlKey || metaKey || altKey) return null;
    if (isTyped(/** @type {HTMLElement} */ (target))) return key === "Escape" ? "leave" : null;
    return repeat ? null : COMMANDS[key.toLowerCase()] ?? null;  // a key that is held down decides on one row
}

/** @param {HTMLElement} target */
function isTyped(target) {
    return target.isContentEditable || target.matches('textarea, select, input:is([type="text"], [type="number"])');
}
