/**
 * What a box says besides its words and place, which the chain's text does not hold. The same rules as in
 * `got_models/chain/details.py`.
 *
 * `text` is lettering, `palette` up to five colours such as #FF8800; of boxes that overlap, the one with the higher `order`
 * lies in front; one that is not `on` is not drawn; `strength` is 0 to 2.
 * @typedef {{text: string, palette: readonly string[], order: number, on: boolean, strength: number}} Detail
 *
 * A detail, and the colour and the words of its box.
 * @typedef {{color: string, phrase: string, detail: Detail}} Stated
 */

import { clean } from "./characters.js";

const VERSION = 1;
export const MAX_COLORS = 5;
export const MAX_LETTERING = 1000;
export const MAX_ORDER = 1000;
export const MAX_STRENGTH = 2;

/** @type {Detail} of a box that says nothing besides its words and place */
export const PLAIN = Object.freeze({ text: "", palette: Object.freeze([]), order: 0, on: true, strength: 1 });

/** @type {Record<keyof Detail, (value: any) => boolean>} */
const RIGHT = {
    text: (value) => typeof value === "string" && value.length <= MAX_LETTERING,
    palette: (value) => Array.isArray(value) && value.length <= MAX_COLORS && value.every(isColor),
    order: (value) => Number.isInteger(value) && Math.abs(value) <= MAX_ORDER,
    on: (value) => typeof value === "boolean",
    strength: (value) => typeof value === "number" && value >= 0 && value <= MAX_STRENGTH,
};
const NAMES = /** @type {(keyof Detail)[]} */ (Object.keys(RIGHT));

/** @param {Detail} detail */
export function saysNothing(detail) {
    return NAMES.every((name) => String(detail[name]) === String(PLAIN[name]));
}

/**
 * The detail with numbers, lettering and colours within their limits.
 * @param {Detail} detail
 * @returns {Detail}
 */
export function within({ text, palette, order, on, strength }) {
    return {
        text: clean(text).slice(0, MAX_LETTERING),
        palette: palette.map(upper).slice(0, MAX_COLORS),
        order: Math.max(-MAX_ORDER, Math.min(MAX_ORDER, order)),
        on,
        strength: Math.max(0, Math.min(MAX_STRENGTH, strength)),
    };
}

/** @param {readonly Stated[]} regions */
export function detailsToJson(regions) {
    const boxes = regions.filter(({ detail }) => !saysNothing(detail)).map(({ color, phrase, detail }) => ({
        color,
        phrase,
        ...Object.fromEntries(NAMES.filter((name) => String(detail[name]) !== String(PLAIN[name])).map((name) => [name, detail[name]])),
    }));
    return boxes.length ? { version: VERSION, boxes } : null;
}

/**
 * The inverse of `detailsToJson`. What it does not know is passed over.
 * @param {any} data
 * @returns {Stated[]}
 * @throws {TypeError} a newer version, or an entry of another type or out of range
 */
export function detailsFromJson(data) {
    if (!Array.isArray(data?.boxes)) throw new TypeError('A chain\'s "details" hold "version" and "boxes".');
    const { version } = data;
    if (!Number.isInteger(version) || version < 1) throw new TypeError(`A chain's "details" need "version": ${VERSION}.`);
    if (version > VERSION) {
        throw new TypeError(
            `The chain's details (lettering, colours, order) have format version ${version}, this program knows up to ` +
            `${VERSION}. Use a newer version of the program, or leave out "details".`,
        );
    }
    return data.boxes.map(statedFrom);
}

/**
 * The detail of each box: one is found by colour and words, otherwise by its words, otherwise by its colour.
 * @template {{color: string, phrase: string}} Box
 * @param {readonly Stated[]} stated
 * @param {readonly Box[]} boxes
 * @returns {(Box & {detail: Detail})[]}
 */
export function withDetails(stated, boxes) {
    /** @type {Map<number, Detail>} */
    const found = new Map();
    const rest = new Set(stated);
    for (const keys of /** @type {const} */ ([["color", "phrase"], ["phrase"], ["color"]])) {
        for (const [place, box] of boxes.entries()) {
            const each = [...rest].find((one) => keys.every((key) => one[key] === box[key]));
            if (found.has(place) || !each) continue;
            found.set(place, each.detail);
            rest.delete(each);
        }
    }
    return boxes.map((box, place) => ({ ...box, detail: found.get(place) ?? PLAIN }));
}

/** @param {any} entry */
function statedFrom(entry) {
    if (typeof entry?.color !== "string" || typeof entry.phrase !== "string") {
        throw new TypeError('Details of a box need its "color" and "phrase".');
    }
    const known = { ...PLAIN };
    for (const name of NAMES.filter((each) => each in entry)) {
        const value = name === "palette" && Array.isArray(entry[name]) ? entry[name].map(upper) : entry[name];
        if (!RIGHT[name](value)) throw new TypeError(`Details of '${entry.phrase}': "${name}" cannot be read.`);
        Object.assign(known, { [name]: name === "text" ? clean(value) : value });
    }
    return { color: entry.color, phrase: clean(entry.phrase), detail: known };
}

/** @param {string} value */
function upper(value) {
    return typeof value === "string" ? value.toUpperCase() : value;
}

/** @param {unknown} value */
function isColor(value) {
    return typeof value === "string" && /^#[0-9A-F]{6}$/.test(value);
}
