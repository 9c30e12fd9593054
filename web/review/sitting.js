/** The review of a folder's rows as the server is asked about it; of the page it knows nothing. */

import { Rows } from "./rows.js";

/**
 * @typedef {{folder: string, rows: string}} Place which rows of which folder
 * @typedef {{asked: (path: string, question: object) => Promise<any>, place: () => Place | null}} Host
 */

export class Sitting {
    /** @type {Rows | null} null: none are open */
    rows = null;
    /** @type {Place | null} where they come from */
    place = null;
    #host;
    #failed;
    /** @type {object | null} the question whose answer is awaited */
    #asking = null;

    /**
     * @param {Host} host
     * @param {(error: string | undefined) => void} failed is told why there is no answer, if the server says so
     */
    constructor(host, failed) {
        this.#host = host;
        this.#failed = failed;
    }

    /** Whether an answer is awaited: until it is there, no other decision counts. */
    get waits() {
        return this.#asking !== null;
    }

    /** Whether the node is set to other rows than those that are open. */
    get isElsewhere() {
        return this.rows !== null && !isSame(this.place, this.#host.place());
    }

    /** Puts the rows away. What was asked before is of no interest any more. */
    close() {
        [this.rows, this.place, this.#asking] = [null, null, null];
    }

    /**
     * Opens the rows that the node is set to, from the first on.
     * @param {Place} place
     * @returns {Promise<boolean>} whether they are open
     */
    async open(place) {
        const rows = new Rows();
        const answer = await this.#ask("open", place, { skip: 0 });
        if (!answer || !isSame(place, this.#host.place())) return false;
        rows.add(answer);
        [this.rows, this.place] = [rows, place];
        return true;
    }

    /**
     * Gets the next rows, where the last of those that are here has been passed.
     * @returns {Promise<boolean>} whether the rows are still open
     */
    async goOn() {
        const { rows, place } = this;
        if (!rows || !place) return false;
        if (rows.goesOn) {
            const answer = await this.#ask("open", place, { skip: rows.count });
            if (answer) rows.add(answer);
        }
        return rows === this.rows;
    }

    /**
     * Has a decision on the current row written.
     * @param {"accept" | "reject"} decision
     * @param {object} said what the row says now
     * @returns {Promise<any>} the server's answer; null: there is none
     */
    async decide(decision, said) {
        const { rows, place } = this;
        if (!rows?.current || !place) return null;
        const { row, line } = rows.current;
        const answer = await this.#ask("decide", place, { row, line, decision, ...said });
        if (answer?.gone) rows.drop();
        else if (answer) rows.decide(decision, answer.row);
        return answer;
    }

    /**
     * The server's answer; null: there is none, or the rows have been put away meanwhile.
     * @param {string} what
     * @param {Place} place
     * @param {object} more
     */
    async #ask(what, place, more) {
        const question = { ...place, ...more };
        this.#asking = question;
        const answer = await this.#host.asked(`/got/review/${what}`, question);
        if (this.#asking !== question) return null;
        this.#asking = null;
        if (answer && (!answer.error || answer.gone)) return answer;
        this.#failed(answer?.error);
        return null;
    }
}

/**
 * @param {Place | null} one
 * @param {Place | null} other
 */
function isSame(one, other) {
    return one?.folder === other?.folder && one?.rows === other?.rows;
}
