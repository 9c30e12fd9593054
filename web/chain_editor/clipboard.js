/** A piece of the prose on the clipboard: its words, and what their boxes say besides, which no words hold. */

import { ChainError } from "./chain.js";
import { freeColors, spelling } from "./colors.js";
import { detailsFromJson, detailsToJson } from "./details.js";
import { BOX_START, scan } from "./notation.js";

/** @typedef {import("./details.js").Stated} Stated */

const DETAILS = "application/x-got-chain-details+json";

/**
 * @param {DataTransfer} clipboard
 * @param {string} text with boxes as they are written
 * @param {readonly Stated[]} regions whose boxes are in it
 */
export function putOnClipboard(clipboard, text, regions) {
    const details = detailsToJson(regions);
    clipboard.setData("text/plain", text);
    if (details) clipboard.setData(DETAILS, JSON.stringify(details));
}

/**
 * Whether it holds boxes as plans write them.
 * @param {DataTransfer} clipboard
 */
export function holdsBoxes(clipboard) {
    return clipboard.getData("text/plain").includes(BOX_START);
}

/**
 * Words and boxes that were copied from a plan. Where a colour is taken, the box gets a free one.
 * @param {DataTransfer} clipboard that `holdsBoxes`
 * @param {readonly string[]} taken colours of the boxes around the place where they go
 * @returns {{text: string, stated: readonly Stated[]}}
 * @throws {ChainError} a newer version has put them there
 */
export function proseOnClipboard(clipboard, taken) {
    const text = clipboard.getData("text/plain");
    const stated = statedOnClipboard(clipboard);
    const { found } = scan(text);
    const free = freeColors([...taken, ...found.flatMap(({ color }) => color ?? [])]);
    const isTaken = new Set(taken.map(spelling));
    /** @type {Map<string, string>} */
    const others = new Map();
    let [recolored, done] = ["", 0];
    for (const { end, color } of found) {
        const other = color && isTaken.has(spelling(color)) && free.shift();
        if (!other) continue;
        others.set(color, other);
        recolored += text.slice(done, end).replace(/\([^()]*\)$/, `(${other})`);
        done = end;
    }
    return {
        text: recolored + text.slice(done),
        stated: stated.map((each) => ({ ...each, color: others.get(each.color) ?? each.color })),
    };
}

/** @param {DataTransfer} clipboard */
function statedOnClipboard(clipboard) {
    const json = clipboard.getData(DETAILS);
    try {
        return json ? detailsFromJson(JSON.parse(json)) : [];
    } catch (error) {
        throw new ChainError(/** @type {Error} */ (error).message);
    }
}
