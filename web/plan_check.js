/** Asks the server what is to be said about a plan that is being edited. */

import { chainToJson } from "./chain_editor/chain_json.js";
import { ask } from "./comfyui/ask.js";
import { notesFrom } from "./plan_view/saved.js";

/**
 * @typedef {import("./chain_editor/chain.js").Chain} Chain
 * @typedef {import("./plan_view/saved.js").Note} Note
 */

const PAUSE = 400;  // milliseconds without another question

export class PlanCheck {
    #asked = "";
    #pause = 0;
    #show;

    /** @param {(notes: readonly Note[]) => void} show */
    constructor(show) {
        this.#show = show;
    }

    /**
     * @param {Chain | null} chain null: there is nothing to be asked about
     * @param {string | null} checkpoint that is to draw it; null: not known
     */
    ask(chain, checkpoint) {
        const question = chain ? JSON.stringify({ chain: chainToJson(chain), checkpoint }) : "";
        if (question === this.#asked) return;
        this.#asked = question;
        clearTimeout(this.#pause);
        if (!question) this.#show([]);
        else this.#pause = setTimeout(() => this.#send(question), PAUSE);
    }

    dispose() {
        clearTimeout(this.#pause);
    }

    /** @param {string} question */
    async #send(question) {
        const answer = await ask("/got/plan_check", question);
        const notes = answer ? notesFrom(answer) : [];
        if (question === this.#asked) this.#show(notes);
    }
}
