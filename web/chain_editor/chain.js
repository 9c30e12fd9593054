/**
 * The reasoning chain: prose in which every important object is followed by a box.
 *
 * The same rules as in `got_models/chain/chain.py`, which is the authority and explains them. The text is the truth
 * and the regions are a view of it. All functions return new chains.
 */

import { clean, composed, placeInOriginal, SPACES, trim, trimEnd } from "./characters.js";
import { freeColors, spelling } from "./colors.js";
import { isReadBefore } from "./geometry.js";
import { PLAIN, withDetails } from "./details.js";
import { withArticle } from "./english.js";
import {
    BOX_START, boxMarkup, GRID, holdsMarkup, marked, MAX_REGIONS, OBJECT_START, render, scan, without,
} from "./notation.js";
import { withObjects } from "./sentences.js";

/**
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./notation.js").Region} Region
 * @typedef {import("./details.js").Detail} Detail
 *
 * @typedef {{task: string, prompt: string, text: string, regions: readonly Region[]}} Chain
 */

const TASKS = ["generate", "edit"];
const OPENING = "([{（［「『《〈【";

/** A chain that cannot be used, and where in its text, if known. */
export class ChainError extends Error {
    /**
     * @param {string} message
     * @param {number | null} start
     * @param {number | null} end
     */
    constructor(message, start = null, end = null) {
        super(message);
        this.name = "ChainError";
        this.start = start;
        this.end = end;
    }
}

/**
 * Reads a chain strictly: anything doubtful is an error.
 * @param {string} text
 * @param {string} task
 * @param {string} prompt
 * @returns {Chain}
 * @throws {ChainError} names the first place where the text cannot be used
 */
export function parseChain(text, task, prompt) {
    checkTask(task);
    const cleaned = clean(text);
    const { found, problems } = scan(cleaned);
    if (problems.length) {
        const [{ message, start, end }] = problems;
        throw new ChainError(message, placeInOriginal(text, start), placeInOriginal(text, end));
    }
    return { task, prompt: composed(prompt), ...render(cleaned, found) };
}

/**
 * Reads whatever a model wrote: what cannot be used is mended or left out.
 * @param {string} text
 * @param {string} task
 * @param {string} prompt
 * @returns {Chain}
 */
export function readChain(text, task, prompt) {
    checkTask(task);
    text = clean(text);
    let { found, problems } = scan(text);
    while (problems.some((problem) => problem.cut)) {
        text = without(text, problems.filter((problem) => problem.cut));
        ({ found, problems } = scan(text));
    }
    return { task, prompt: composed(prompt), ...render(text, found) };
}

/**
 * The same chain with one region in another place.
 * @param {Chain} chain
 * @param {number} index
 * @param {Box} box
 */
export function moveBox(chain, index, box) {
    const region = regionAt(chain, index);
    checkBox(box);
    const before = chain.text.slice(0, boxStart(chain, region));
    return rewritten(chain, before + boxMarkup(box, region.color) + chain.text.slice(region.span[1]));
}

/**
 * The same chain with other words for one region.
 * @param {Chain} chain
 * @param {number} index
 * @param {string} phrase
 * @throws {ChainError} the phrase is empty or holds a line break, a box or markup
 */
export function renameRegion(chain, index, phrase) {
    const region = regionAt(chain, index);
    phrase = withArticle(checkedPhrase(phrase));
    let before = chain.text.slice(0, region.span[0]);
    if (before && !`${SPACES}\n${OPENING}`.includes(before.at(-1) ?? "")) before += " ";
    const after = chain.text.slice(boxStart(chain, region));
    const regions = chain.regions.with(index, { ...region, phrase });
    return holding(chain, `${before}${marked(phrase)} ${after}`, regions);
}

/**
 * The same chain without one object. Where its sentence cannot do without the words, they stay and only the box goes;
 * then the next phrase may begin among them.
 * @param {Chain} chain
 * @param {number} index
 */
export function removeRegion(chain, index) {
    const region = regionAt(chain, index);
    const { text, spans, objects } = markedText(chain);
    const shortened = withObjects(text, spans, objects.with(index, []));
    if (!shortened.stay.length) return holding(chain, shortened.text, chain.regions.toSpliced(index, 1));
    const [start, end] = region.span;
    const cut = chain.text.startsWith(OBJECT_START, start)
        ? { start, end, keep: region.phrase }
        : { start: boxStart(chain, region), end, keep: "" };
    return rewritten(chain, without(chain.text, [cut]));
}

/**
 * The same chain with one more object, in the next free colour. In a row of objects it stands where a reader of the
 * picture comes to it, else at the end.
 * @param {Chain} chain
 * @param {string} phrase
 * @param {Box} box
 * @throws {ChainError} the chain is full, or the phrase is empty or holds a line break, a box or markup
 */
export function addRegion(chain, phrase, box) {
    return append(chain, { phrase: withArticle(checkedPhrase(phrase)), box, color: nextColor(chain), detail: PLAIN });
}

/**
 * The same chain with a region of another one, as `addRegion` puts one in, in its own colour if that is free.
 * @param {Chain} chain
 * @param {Region} region
 * @throws {ChainError} the chain is full
 */
export function insertRegion(chain, region) {
    const taken = chain.regions.some((other) => spelling(other.color) === spelling(region.color));
    return append(chain, taken ? { ...region, color: nextColor(chain) } : region);
}

/**
 * The same chain with other details of some regions.
 * @param {Chain} chain
 * @param {readonly string[]} colors
 * @param {(detail: Detail) => Detail} change
 * @returns {Chain}
 */
export function changeDetails(chain, colors, change) {
    const regions = chain.regions.map((region) =>
        (colors.includes(region.color) ? { ...region, detail: change(region.detail) } : region));
    return { ...chain, regions };
}

/**
 * The same chain with the details that the regions of another one have.
 * @param {Chain} chain
 * @param {readonly import("./details.js").Stated[]} stated
 * @returns {Chain}
 */
export function carryDetails(chain, stated) {
    return { ...chain, regions: withDetails(stated, chain.regions) };
}

/**
 * @param {Chain} chain
 * @param {Omit<Region, "span">} region
 */
function append(chain, region) {
    if (chain.regions.length === MAX_REGIONS) {
        throw new ChainError(`A chain holds at most ${MAX_REGIONS} boxes. Remove one first.`);
    }
    const { phrase, box, color } = region;
    checkBox(box);
    const words = isPhrase(phrase) ? marked(phrase) : phrase;
    const added = `${words} ${boxMarkup(box, color)}`;
    const { text, spans, objects } = markedText(chain);
    const later = chain.regions.findIndex((other) => isReadBefore(box, other.box));
    const place = later < 0 ? chain.regions.length : later;
    const longer = trim(text) ? withObjects(text, spans, objects, [[place, added]]).text : `${added}.`;
    return holding(chain, longer, [...chain.regions, { ...region, span: [0, 0] }]);
}

/**
 * The text with markers around every phrase, where its objects stand in it, and their words.
 * @param {Chain} chain
 */
function markedText(chain) {
    let text = "";
    let done = 0;
    /** @type {[number, number][]} */
    const spans = [];
    for (const { phrase, box, color, span } of chain.regions) {
        text += chain.text.slice(done, span[0]);
        const words = `${phrase ? `${marked(phrase)} ` : ""}${boxMarkup(box, color)}`;
        spans.push([text.length, text.length + words.length]);
        text += words;
        done = span[1];
    }
    text += chain.text.slice(done);
    return { text, spans, objects: spans.map(([start, end]) => [text.slice(start, end)]) };
}

/**
 * @param {Chain} chain
 * @param {string} text
 */
function rewritten(chain, text) {
    return carryDetails(parseChain(text, chain.task, chain.prompt), chain.regions);
}

/**
 * The chain of `text`, which must hold exactly `regions`.
 * @param {Chain} chain
 * @param {string} text
 * @param {readonly Region[]} regions
 */
function holding(chain, text, regions) {
    const result = rewritten(chain, text);
    if (!sameRegions(byColor(result.regions), byColor(regions))) {
        throw new ChainError("The text would be read back with other words for its boxes. Use simpler words.");
    }
    return carryDetails(result, regions);
}

/**
 * The chain with stated phrases where they too end right before their boxes: so chains keep their phrases that were
 * saved when other signs bounded one.
 * @param {Chain} chain
 * @param {readonly Region[]} stated
 */
export function withPhrasesOf(chain, stated) {
    let { text } = chain;
    for (const [index, { phrase }] of [...stated.entries()].reverse()) {
        const region = chain.regions[index];
        if (!region || region.phrase === phrase || !isPhrase(phrase)) continue;
        const start = boxStart(chain, region);
        const before = trimEnd(text.slice(0, start));
        if (!before.endsWith(phrase)) continue;
        text = `${before.slice(0, before.length - phrase.length)}${marked(phrase)} ${text.slice(start)}`;
    }
    return rewritten(chain, text);
}

/**
 * @param {Chain} chain
 * @param {number} index
 */
function regionAt(chain, index) {
    const region = chain.regions[index];
    if (!region) throw new ChainError(`The chain has regions 0 to ${chain.regions.length - 1}, got ${index}.`);
    return region;
}

/**
 * Where the box of a region begins, after its phrase.
 * @param {Chain} chain
 * @param {Region} region
 */
function boxStart(chain, { span }) {
    return chain.text.lastIndexOf(BOX_START, span[1] - 1);
}

/** @param {Chain} chain */
function nextColor(chain) {
    return freeColors(chain.regions.map(({ color }) => color))[0];
}

/** @param {string} phrase */
function checkedPhrase(phrase) {
    phrase = trim(clean(phrase));
    if (!phrase) throw new ChainError("The phrase is empty. Give the region a few words.");
    if (!isPhrase(phrase)) throw new ChainError("A phrase must not contain line breaks, boxes or markup.");
    return phrase;
}

/**
 * Whether a clean text can stand before a box, between markers if need be.
 * @param {string} text
 */
function isPhrase(text) {
    if (!text || text !== trim(text) || text.includes("\n")) return false;
    return !text.includes("<|") && !text.includes("|>") && !holdsMarkup(text);
}

/** @param {string} task */
function checkTask(task) {
    if (!TASKS.includes(task)) {
        throw new ChainError(`Unknown task '${task}': expected one of ${TASKS.join(", ")}.`);
    }
}

/** @param {any} box */
export function checkBox(box) {
    const [x1, y1, x2, y2] = box;
    const whole = box.every((/** @type {any} */ value) => Number.isInteger(value) && 0 <= value && value < GRID);
    if (box.length !== 4 || !whole || x1 >= x2 || y1 >= y2) {
        throw new ChainError(`A box is left, top, right, bottom in 0 to ${GRID - 1}, got ${box}.`);
    }
}

/**
 * Whether two chains hold the same regions, wherever those stand in the text.
 * @param {readonly Region[]} first
 * @param {readonly Region[]} second
 */
export function sameRegions(first, second) {
    return first.length === second.length && first.every((region, index) => sameRegion(region, second[index]));
}

/** @param {readonly Region[]} regions */
function byColor(regions) {
    return regions.toSorted((first, second) => (first.color < second.color ? -1 : 1));
}

/**
 * @param {Region} first
 * @param {Region} second
 */
export function sameRegion(first, second) {
    return first.phrase === second.phrase && first.color === second.color && sameBox(first.box, second.box);
}

/**
 * @param {Box} first
 * @param {Box} second
 */
export function sameBox(first, second) {
    return first.every((value, index) => value === second[index]);
}
