/**
 * Plans in a workflow: a node keeps the plans that it shows among its properties. A workflow may come from anybody.
 *
 * What is to be said about a plan, by language; English is always there.
 * @typedef {Record<string, string>} Note
 *
 * @typedef {{text: string, notes: readonly Note[]}} Plan
 */

export const PROPERTY = "got_plans";
const MOST = 64;  // plans, and notes on each
const LONGEST = 1_000_000;  // characters, as of a chain's file

/**
 * @param {unknown} value of the property, or as a server sends it
 * @returns {Plan[]} what is a plan there
 */
export function plansFrom(value) {
    if (!Array.isArray(value)) return [];
    return value.slice(0, MOST).filter((plan) => isText(plan?.text)).map(({ text, notes }) => ({
        text,
        notes: notesFrom(notes),
    }));
}

/**
 * @param {unknown} value
 * @returns {Note[]} what is a note there
 */
export function notesFrom(value) {
    if (!Array.isArray(value)) return [];
    return value.slice(0, MOST).filter((note) => isText(note?.en)).map(noteFrom);
}

/** @param {unknown} value */
function isText(value) {
    return typeof value === "string" && value.length <= LONGEST;
}

/** @param {Record<string, unknown>} note */
function noteFrom(note) {
    return /** @type {Note} */ (Object.fromEntries(Object.entries(note).filter(([, text]) => isText(text))));
}
