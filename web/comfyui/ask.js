/** Questions to the pack's own routes. */

import { api } from "../../../scripts/api.js";

/**
 * @param {string} path
 * @param {string} question in JSON
 * @returns {Promise<any>} the server's answer; null: it cannot be asked
 */
export async function ask(path, question) {
    const answer = await api.fetchApi(path, { method: "POST", body: question }).catch(() => null);
    return answer?.ok ? answer.json().catch(() => null) : null;
}
