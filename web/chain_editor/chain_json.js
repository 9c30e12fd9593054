/** Chains in JSON, as `ReasoningChain.to_json` in `got_models/chain/chain.py` writes them. */

import { carryDetails, ChainError, checkBox, parseChain, sameRegions, withPhrasesOf } from "./chain.js";
import { clean, trim } from "./characters.js";
import { detailsFromJson, detailsToJson, PLAIN } from "./details.js";
import { GRID, MAX_REGIONS } from "./notation.js";

/**
 * @typedef {import("./chain.js").Chain} Chain
 * @typedef {import("./notation.js").Region} Region
 */

const VERSION = 1;

/** @param {Chain} chain */
export function chainToJson({ task, prompt, text, regions }) {
    const details = detailsToJson(regions);
    return {
        version: VERSION,
        task,
        prompt,
        text,
        regions: regions.map(({ phrase, box, color }) => ({ phrase, box: [...box], color })),
        ...(details && { details }),
    };
}

/**
 * The inverse of `chainToJson`. The text is the truth; the regions must agree with it.
 * @param {any} data
 * @returns {Chain}
 * @throws {ChainError} a newer version, a missing or mistyped entry, or regions that the text does not hold
 */
export function chainFromJson(data) {
    if (typeof data !== "object" || data === null || Array.isArray(data)) {
        throw new ChainError("A chain in JSON must be an object.");
    }
    const { version } = data;
    if (!Number.isInteger(version) || version < 1) {
        throw new ChainError(`A chain in JSON needs "version": ${VERSION}.`);
    }
    if (version > VERSION) {
        throw new ChainError(
            `The chain has format version ${version}, this program knows up to ${VERSION}. ` +
            "Use a newer version of the program.",
        );
    }
    for (const key of ["task", "prompt", "text"]) {
        if (typeof data[key] !== "string") throw new ChainError(`A chain in JSON needs "${key}" as a string.`);
    }
    if (!Array.isArray(data.regions)) throw new ChainError('A chain in JSON needs "regions" as a list.');
    if (data.regions.length > MAX_REGIONS) throw new ChainError(`A chain holds at most ${MAX_REGIONS} boxes.`);
    let chain = parseChain(data.text, data.task, data.prompt);
    const stated = data.regions.map(regionFromJson);
    if (!sameRegions(chain.regions, stated)) chain = withPhrasesOf(chain, stated);
    if (!sameRegions(chain.regions, stated)) {
        throw new ChainError("The regions do not agree with the text, which is what counts.");
    }
    try {
        return "details" in data ? carryDetails(chain, detailsFromJson(data.details)) : chain;
    } catch (error) {
        throw new ChainError(/** @type {Error} */ (error).message);
    }
}

/**
 * @param {any} entry
 * @param {number} index
 * @returns {Region}
 */
function regionFromJson(entry, index) {
    const whole = typeof entry === "object" && entry !== null && "phrase" in entry && "box" in entry && "color" in entry;
    if (!whole) throw new ChainError(`Region ${index} needs "phrase", "box" and "color".`);
    if (!Array.isArray(entry.box)) throw new ChainError(`The box of region ${index} must be [x1, y1, x2, y2].`);
    if (typeof entry.phrase !== "string") throw new ChainError(`The phrase of region ${index} must be text.`);
    const box = entry.box.map((/** @type {unknown} */ value) => (value === GRID ? GRID - 1 : value));
    checkBox(box);
    return { phrase: trim(clean(entry.phrase)), box, color: entry.color, span: [0, 0], detail: PLAIN };
}
