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
 * The row's prompts besides the first, one to a line: as they were typed, or as they follow the plan.
 * @param {Row} row
 * @param {ChainState} state
 */
export function otherPrompts({ prompts, others }, { edit, incoming, follows }) {
    if (others !== undefined) return others;
    const rest = prompts.slice(1);
    if (!edit || !incoming || !follows) return rest.join("\n");
    return rest.map((prompt) => updatedPrompt(prompt, incoming, edit.chain).prompt).join("\n");
}

/**
 * What the row says now: its chain and its prompts, each null as it is.
 * @param {Row} row
 * @param {ChainState} state
 */
export function saidNow(row, state) {
    const changed = isChanged(state) || row.mended;
    const others = otherPrompts(row, state);
    const asTheyAre = !isChanged(state) && others === row.prompts.slice(1).join("\n");
    const prompts = [state.prompt, ...others.split("\n")].filter((prompt) => prompt.trim());
    return { chain: changed ? chainToJson(state.chain) : null, prompts: asTheyAre ? null : prompts };
}

/** @param {import("../chain_editor/chain.js").Chain} chain */
function written(chain) {
    return JSON.stringify(chainToJson(chain));
}
