/**
 * The artist's edit of an incoming chain: an immutable value, what it is saved as, and what may be done to it.
 *
 * A region is known by its colour: each has its own, and it stays when words or box change.
 */

import { carryDetails, changeDetails, ChainError, parseChain, sameBox } from "./chain.js";
import { chainFromJson, chainToJson } from "./chain_json.js";
import { clean, composed, trim } from "./characters.js";
import { MAX_ORDER, saysNothing } from "./details.js";
import { marked, SPECIAL_TOKEN } from "./notation.js";
import { updatedPrompt } from "./prompt_update.js";

/**
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./chain.js").Chain} Chain
 * @typedef {import("./notation.js").Region} Region
 *
 * Text that is no chain yet, and why. The last valid chain counts until it is one. `pasted` is what boxes say that have
 * come into the text meanwhile.
 * @typedef {{text: string, message: string, start: number, end: number,
 *            pasted: readonly import("./details.js").Stated[]}} Draft
 *
 * `upstream` is the text of the chain that was edited; `locked` are the colours of locked regions.
 * @typedef {object} Edit
 * @property {string} upstream
 * @property {Chain} chain
 * @property {Draft | null} draft
 * @property {readonly string[]} locked
 * @property {Chain} origin for which a person or the model has written a prompt: what has changed in the plan since then
 * may change in the prompt too
 * @property {boolean} replan whether another incoming chain, planned around what is locked, counts once it comes
 */

const DUPLICATE_OFFSET = 40;

/**
 * The value that a node saves.
 * @param {Edit} edit
 */
export function editToValue({ upstream, chain, draft, locked, origin, replan }) {
    const { prompt, text } = origin;
    return JSON.stringify({
        upstream,
        chain: chainToJson(chain),
        ...((prompt !== chain.prompt || text !== chain.text) && { origin: { prompt, text } }),
        ...(locked.length && { locked }),
        ...(draft && { draft: draft.text }),
        ...(replan && { replan }),
    });
}

/**
 * @param {unknown} value as it was saved
 * @returns {Edit | null}
 */
export function editFromValue(value) {
    if (typeof value !== "string") throw new ChainError("It is no text.");
    return value.trim() ? editFromJson(JSON.parse(value)) : null;
}

/**
 * @param {any} data
 * @returns {Edit}
 */
function editFromJson(data) {
    if (typeof data?.upstream !== "string") throw new ChainError('It must hold "upstream" and "chain".');
    const chain = withLevels(chainFromJson(data.chain), data.levels);
    const { locked = [] } = data;
    if (!Array.isArray(locked) || locked.some((color) => typeof color !== "string")) {
        throw new ChainError('"locked" must list the colours of the locked boxes.');
    }
    const edit = {
        upstream: clean(data.upstream),
        chain,
        draft: null,
        locked: inOrder(chain, locked),
        origin: originFromJson(data.origin, chain),
        replan: data.replan === true,
    };
    return typeof data.draft === "string" ? written(edit, data.draft) : edit;
}

/**
 * @param {any} data
 * @param {Chain} chain is its own origin where none was saved
 */
function originFromJson(data, chain) {
    if (data === undefined) return chain;
    if (typeof data?.prompt !== "string" || typeof data.text !== "string") {
        throw new ChainError('"origin" must hold "prompt" and "text".');
    }
    return parseChain(data.text, chain.task, data.prompt);
}

/**
 * The edit with the prompt that it was given or, if that follows the plan, with what the plan makes of it.
 * @param {Edit} edit
 * @param {boolean} follows
 * @returns {Edit}
 */
export function withPrompt(edit, follows) {
    const { origin, chain } = edit;
    const prompt = follows ? updatedPrompt(origin.prompt, origin, chain).prompt : origin.prompt;
    return { ...edit, chain: { ...chain, prompt } };
}

/**
 * The chain for which a prompt has been typed; for an empty one, that is an empty chain: all of the plan is new to it.
 * @param {Chain} chain
 * @param {string} text
 * @throws {ChainError} the model could not read it
 */
export function originOf(chain, text) {
    const [special] = SPECIAL_TOKEN.exec(text) ?? [];
    if (special) throw new ChainError(`The prompt must not contain the special token '${special}'.`);
    const prompt = composed(text);
    return trim(prompt) ? { ...chain, prompt } : parseChain("", chain.task, "");
}

/**
 * The edit with other prose. Where that is no chain, or changes what is locked, it is a draft.
 * @param {Edit} edit
 * @param {string} text
 * @param {readonly import("./details.js").Stated[]} pasted what boxes say that have come into the prose from elsewhere
 * @returns {Edit}
 */
export function written(edit, text, pasted = []) {
    const fromElsewhere = [...(edit.draft?.pasted ?? []), ...pasted];
    try {
        const { task, prompt, regions } = edit.chain;
        const chain = carryDetails(parseChain(text, task, prompt), [...regions, ...fromElsewhere]);
        keepLocked(edit, chain);
        return { ...edit, chain, draft: null };
    } catch (error) {
        if (!(error instanceof ChainError)) throw error;
        const { message, start, end } = error;
        return { ...edit, draft: { text, message, start: start ?? 0, end: end ?? 0, pasted: fromElsewhere } };
    }
}

/**
 * @param {Chain} chain
 * @param {string} color
 */
export function indexOf(chain, color) {
    const index = chain.regions.findIndex((region) => region.color === color);
    if (index < 0) throw new ChainError(`There is no ${color} box.`);
    return index;
}

/**
 * The colours that are a region's, in the order of the regions.
 * @param {Chain} chain
 * @param {readonly string[]} colors
 */
export function inOrder(chain, colors) {
    return chain.regions.map(({ color }) => color).filter((color) => colors.includes(color));
}

/**
 * The chain with the order of its boxes as earlier versions have saved it, by their colours.
 * @param {Chain} chain
 * @param {Readonly<Record<string, number>>} [levels]
 */
function withLevels(chain, levels = {}) {
    const known = Object.entries(levels).filter(([, level]) => Number.isInteger(level) && Math.abs(level) <= MAX_ORDER);
    return known.reduce((all, [color, order]) => changeDetails(all, [color], (detail) => ({ ...detail, order })), chain);
}

/**
 * @param {Edit} edit
 * @param {Chain} chain what is to follow
 * @throws {ChainError} a locked region would not stay as it is
 */
export function keepLocked({ chain: { regions }, locked }, chain) {
    for (const { phrase, box, color } of regions.filter((region) => locked.includes(region.color))) {
        const after = chain.regions.find((region) => region.color === color);
        if (after?.phrase !== phrase || !sameBox(after.box, box)) {
            throw new ChainError(`'${phrase}' is locked. Unlock it first.`, ...(after?.span ?? []));
        }
    }
}

/**
 * A chain with nothing changed.
 * @param {Chain} chain
 * @param {readonly string[]} locked
 * @returns {Edit}
 */
export function unchanged(chain, locked = []) {
    return { upstream: chain.text, chain, draft: null, locked, origin: chain, replan: false };
}

/**
 * A chain that was planned around what is locked in an edit: that is locked in it, with its details.
 * @param {Edit} edit
 * @param {Chain} chain
 */
export function plannedAround(edit, chain) {
    /** @param {readonly Region[]} regions */
    const saying = (regions) => regions.filter(({ detail }) => !saysNothing(detail));
    const details = saying(lockedRegions(edit));
    const described = details.length ? carryDetails(chain, [...details, ...saying(chain.regions)]) : chain;
    return unchanged(described, lockedIn(edit, chain));
}

/**
 * The colours that what is locked in an edit has in a chain that was planned around it.
 * @param {Edit} edit
 * @param {Chain} chain
 */
function lockedIn(edit, chain) {
    const held = lockedRegions(edit);
    return chain.regions
        .filter((region) => held.some(({ phrase, box }) => phrase === region.phrase && sameBox(box, region.box)))
        .map(({ color }) => color);
}

/**
 * What is locked in an edit, in words with boxes as people write them.
 * @param {Edit} edit
 */
export function lockedObjects(edit) {
    let text = "";
    for (const { phrase, box: [x1, y1, x2, y2] } of lockedRegions(edit)) {
        const before = text && `${text}, `;
        const corners = `(${x1},${y1}),(${x2},${y2})`;
        text = `${before}${phrase} ${corners}`;
        const read = parseChain(text, edit.chain.task, "").regions.at(-1);
        if (phrase && read?.phrase !== phrase) text = `${before}${marked(phrase)} ${corners}`;
    }
    return text;
}

/** @param {Edit} edit */
function lockedRegions({ chain, locked }) {
    return chain.regions.filter(({ color }) => locked.includes(color));
}

/**
 * The same box a little further down and to the right, or up and to the left where there is no room.
 * @param {Box} box
 * @returns {Box}
 */
export function beside([x1, y1, x2, y2]) {
    const right = x2 + DUPLICATE_OFFSET < 1000 ? DUPLICATE_OFFSET : -Math.min(x1, DUPLICATE_OFFSET);
    const down = y2 + DUPLICATE_OFFSET < 1000 ? DUPLICATE_OFFSET : -Math.min(y1, DUPLICATE_OFFSET);
    return [x1 + right, y1 + down, x2 + right, y2 + down];
}
