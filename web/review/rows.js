/**
 * The rows of a dataset as far as they have come from the server: the one that is shown, and what was decided.
 *
 * A row as `shown` in nodes/_review.py gives it; `edit` and `others` are what the artist has made of it so far: the
 * editor's value, and the prompts besides the first as they were typed.
 * @typedef {{
 *     row: string, line: number, image: string, source: string | null, prompts: string[], chain: any, reasons: string[], mended: boolean,
 *     edit?: string, others?: string,
 * }} Row
 */

export class Rows {
    /** @type {Row[]} */
    #rows = [];
    #at = 0;
    total = 0;
    accepted = 0;
    rejected = 0;

    /** @returns {Row | undefined} undefined: all have been shown */
    get current() {
        return this.#rows[this.#at];
    }

    /** @returns {Row | undefined} */
    get next() {
        return this.#rows[this.#at + 1];
    }

    /** The place of the current one, from 1. */
    get number() {
        return this.#at + 1;
    }

    /** How many are here. */
    get count() {
        return this.#rows.length;
    }

    /** Whether the server has more to show. */
    get goesOn() {
        return !this.current && this.count < this.total;
    }

    /** @param {{rows: Row[], total: number}} answer the next ones, and how many there are in all */
    add({ rows, total }) {
        this.#rows.push(...rows);
        this.total = rows.length ? Math.max(total, this.count) : this.count;
    }

    /** @param {number} by how many rows to go on, or back */
    step(by) {
        this.#at = Math.min(Math.max(this.#at + by, 0), this.count);
    }

    /**
     * The current one has been decided on.
     * @param {"accept" | "reject"} decision
     * @param {Row | null} row what it is now; null: it is among these rows no longer
     */
    decide(decision, row) {
        if (decision === "accept") this.accepted += 1;
        else this.rejected += 1;
        if (!row) return this.drop();
        this.#rows[this.#at] = row;
        this.step(1);
    }

    /** The current one is no longer there. */
    drop() {
        this.#rows.splice(this.#at, 1);
        this.total -= 1;
    }
}
