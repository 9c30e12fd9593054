/** What the artist has made of a row, as the server is told it. */

import { chainToJson } from "../chain_editor/chain_json.js";
import { updatedPrompt } from "../chain_editor/prompt_update.js";

/**
 * @typedef {import("../chain_editor/state.js").ChainState} ChainState
 * @typedef {import("./rows.js").Row} Row
 */

/**
 * Whether the plan or its prompt is another one than that of the row.
 * @param {ChainState} state
 */
export function isChanged({ edit, incoming }) {
    return edit !== null && incoming !== null && written(edit.chain) !== written(incoming);
}

/**
 * The row's prompts besides the first as the server has them, one to a line.
 * @param {Row} row
 */
export function givenOthers({ prompts }) {
    return prompts.slice(1).map(onOneLine).join("\n");
}

/**
 * The row's prompts besides the first, one to a line: as they were typed, or as they follow the plan.
 * @param {Row} row
 * @param {ChainState} state
 */
export function otherPrompts(row, { edit, incoming, follows }) {
    if (row.others !== undefined) return row.others;
    if (!edit || !incoming || !follows) return givenOthers(row);
    return row.prompts.slice(1).map((prompt) => onOneLine(updatedPrompt(prompt, incoming, edit.chain).prompt)).join("\n");
}

/**
 * What the row says now: its chain and its prompts, each null as it is.
 * @param {Row} row
 * @param {ChainState} state
 */
export function saidNow(row, state) {
    const changed = isChanged(state) || row.mended;
    const others = otherPrompts(row, state);
    const asTheyAre = !isChanged(state) && others === givenOthers(row);
    const prompts = [state.prompt, ...others.split("\n")].filter((prompt) => prompt.trim());
    return { chain: changed ? chainToJson(state.chain) : null, prompts: asTheyAre ? null : prompts };
}

/** @param {string} prompt */
function onOneLine(prompt) {
    return prompt.replace(/\s*[\r\n]+\s*/g, " ");
}

/** @param {import("../chain_editor/chain.js").Chain} chain */
function written(chain) {
    return JSON.stringify(chainToJson(chain));
}
