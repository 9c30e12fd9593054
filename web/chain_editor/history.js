/** The way back through all edits. A step may be a run of edits of one kind, such as the letters of a word. */

/** @typedef {import("./edit.js").Edit} Edit */

export class History {
    /** @type {(Edit | null)[]} */
    #undo = [];
    /** @type {(Edit | null)[]} */
    #redo = [];
    /** @type {string | null} the kind of the last edit, if the next one of that kind belongs to it */
    #kind = null;
    #onStep;

    /** @param {() => void} onStep is told when a step is complete */
    constructor(onStep) {
        this.#onStep = onStep;
    }

    get canUndo() {
        return this.#undo.length > 0;
    }

    get canRedo() {
        return this.#redo.length > 0;
    }

    clear() {
        this.#undo = [];
        this.#redo = [];
        this.#kind = null;
    }

    /**
     * An edit is about to be made.
     * @param {Edit | null} before
     * @param {string | null} kind edits of one kind that follow each other are one step; null: a step by itself
     */
    add(before, kind) {
        if (kind !== this.#kind) this.seal();
        if (this.#kind === null) this.#undo.push(before);
        this.#redo = [];
        this.#kind = kind;
    }

    /** Ends a run of edits that are undone together. */
    seal() {
        if (this.#kind === null) return;
        this.#kind = null;
        this.#onStep();
    }

    /**
     * @param {Edit | null} now
     * @returns {Edit | null | undefined} the edit before; undefined: there is none
     */
    undo(now) {
        return this.#step(now, this.#undo, this.#redo);
    }

    /**
     * @param {Edit | null} now
     * @returns {Edit | null | undefined} the edit that was undone; undefined: there is none
     */
    redo(now) {
        return this.#step(now, this.#redo, this.#undo);
    }

    /**
     * @param {Edit | null} now
     * @param {(Edit | null)[]} from
     * @param {(Edit | null)[]} to
     */
    #step(now, from, to) {
        const edit = from.pop();
        if (edit === undefined) return undefined;
        this.seal();
        to.push(now);
        return edit;
    }
}
