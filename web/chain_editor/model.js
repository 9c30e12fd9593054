/**
 * What the editor holds: the incoming chain, the artist's edit of it, and the way back through all edits.
 *
 * An edit is an immutable value, so undo is a list of them. Without an edit the incoming chain is shown and passes
 * through. A region is known by its colour: each has its own, and it stays when words or box change.
 */

import {
    addRegion, ChainError, chainFromJson, chainToJson, insertRegion, moveBox, parseChain, readChain, removeRegion,
    renameRegion, sameBox,
} from "./chain.js";
import { clean } from "./characters.js";
import { MAX_REGIONS } from "./notation.js";

/**
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./chain.js").Chain} Chain
 * @typedef {import("./notation.js").Region} Region
 *
 * Text that is no chain yet, and why. The last valid chain counts until it is one.
 * @typedef {{text: string, message: string, start: number, end: number}} Draft
 *
 * `upstream` is the text of the chain that was edited; `locked` are the colours of locked regions.
 * @typedef {{upstream: string, chain: Chain, draft: Draft | null, locked: readonly string[]}} Edit
 */

export const NEW_PHRASE = "a new object";
const DUPLICATE_OFFSET = 40;

export class ChainModel {
    /** @type {Chain | null} */
    incoming = null;
    /** @type {Edit | null} */
    edit = null;
    /** @type {Chain | null} what the model upstream is writing at the moment */
    streamed = null;
    /** Whether a new incoming chain takes the place of an edit of another one. */
    takesNew = false;
    /** @type {{value: string, message: string} | null} a saved value that is no edit */
    unreadable = null;

    /** @type {(Edit | null)[]} */
    #undo = [];
    /** @type {(Edit | null)[]} */
    #redo = [];
    /** @type {string | null} the kind of the last edit, if the next one of that kind belongs to it */
    #kind = null;
    #onChange;
    #onStep;

    /**
     * @param {(valueChanged: boolean) => void} onChange
     * @param {() => void} onStep is told when a step of undo is complete: a run of edits that are undone together is one
     */
    constructor(onChange, onStep = () => {}) {
        this.#onChange = onChange;
        this.#onStep = onStep;
    }

    // What is shown

    /** @returns {Chain | null} the chain that is used, or the one that is being written */
    get chain() {
        return this.streamed ?? this.#basis()?.chain ?? null;
    }

    get draft() {
        return this.streamed ? null : this.#basis()?.draft ?? null;
    }

    get editable() {
        return this.chain !== null && !this.streamed && !this.unreadable;
    }

    get upstreamChanged() {
        return this.edit !== null && this.incoming !== null && this.edit.upstream !== this.incoming.text;
    }

    /** Whether the edit can be kept: one of a picture's change cannot serve to make a new picture. */
    get fitsIncoming() {
        return this.edit?.chain.task === this.incoming?.task;
    }

    get canUndo() {
        return this.#undo.length > 0;
    }

    get canRedo() {
        return this.#redo.length > 0;
    }

    /** @param {string} color */
    isLocked(color) {
        return !this.streamed && (this.#basis()?.locked.includes(color) ?? false);
    }

    /** @param {string | null} color */
    region(color) {
        return this.chain?.regions.find((region) => region.color === color) ?? null;
    }

    // In and out

    /** The node's saved value. */
    get value() {
        if (this.unreadable) return this.unreadable.value;
        if (!this.edit) return "";
        const { upstream, chain, draft, locked } = this.edit;
        return JSON.stringify({
            upstream,
            chain: chainToJson(chain),
            ...(locked.length && { locked }),
            ...(draft && { draft: draft.text }),
        });
    }

    /** Takes over a value that was set from outside: loaded, pasted, or brought back by the graph's undo. */
    set value(value) {
        if (value === this.value) return;
        this.#undo = [];
        this.#redo = [];
        this.#kind = null;
        this.edit = null;
        this.unreadable = null;
        try {
            this.edit = editFromValue(value);
        } catch (error) {
            this.unreadable = { value, message: /** @type {Error} */ (error).message };
        }
        this.#onChange(false);
    }

    /**
     * The chain that came in with a run.
     * @param {unknown} data as `chainToJson` gives it
     */
    receive(data) {
        this.incoming = chainFromJson(data);
        this.streamed = null;
        this.#onChange(false);
    }

    /**
     * All that the model upstream has written so far; null when it has stopped.
     * @param {string | null} text
     */
    stream(text) {
        if (text === null && this.streamed === null) return;
        this.streamed = text === null ? null : readChain(text, "generate", "");
        this.#onChange(false);
    }

    // Edits. Each throws a ChainError, and changes nothing, where it cannot be done.

    /**
     * @param {string} color
     * @param {Box} box
     * @param {string | null} kind consecutive edits of one kind are undone together
     */
    move(color, box, kind = null) {
        this.#rewrite((chain) => moveBox(chain, indexOf(chain, color), box), kind);
    }

    /**
     * @param {string} color
     * @param {string} phrase
     */
    rename(color, phrase) {
        this.#rewrite((chain) => renameRegion(chain, indexOf(chain, color), phrase));
    }

    /** @param {string} color */
    remove(color) {
        this.#rewrite((chain) => removeRegion(chain, indexOf(chain, color)));
    }

    /**
     * @param {Box} box
     * @returns {string} the new region's colour
     */
    add(box, phrase = NEW_PHRASE) {
        return this.#rewrite((chain) => addRegion(chain, phrase, box)).regions.at(-1)?.color ?? "";
    }

    /**
     * @param {string} color
     * @returns {string} the new region's colour
     */
    duplicate(color) {
        const copy = (/** @type {Chain} */ chain) => {
            const region = chain.regions[indexOf(chain, color)];
            return insertRegion(chain, { ...region, box: beside(region.box) });
        };
        return this.#rewrite(copy).regions.at(-1)?.color ?? "";
    }

    /** @param {string} color */
    toggleLock(color) {
        const basis = this.#editableBasis();
        indexOf(basis.chain, color);
        const others = basis.locked.filter((other) => other !== color);
        const locked = others.length < basis.locked.length ? others : [...others, color];
        const edit = { ...basis, locked: inOrder(basis.chain, locked) };
        this.#apply(basis.draft ? written(edit, basis.draft.text) : edit);
    }

    /**
     * The prose as it was typed.
     * @param {string} text
     */
    write(text) {
        this.#apply(written(this.#editableBasis(), text), "write");
    }

    /** Ends a run of edits that are undone together. */
    seal() {
        if (this.#kind === null) return;
        this.#kind = null;
        this.#onStep();
    }

    undo() {
        this.#step(this.#undo, this.#redo);
    }

    redo() {
        this.#step(this.#redo, this.#undo);
    }

    // When the incoming chain is no longer the one that was edited

    keepMine() {
        if (!this.edit || !this.incoming || !this.fitsIncoming) return;
        this.#apply({ ...this.edit, upstream: this.incoming.text });
    }

    takeNew() {
        this.unreadable = null;
        this.#apply(null);
    }

    /** Locked regions stay, the rest is new. */
    merge() {
        if (!this.edit || !this.incoming) return;
        const { chain, locked } = this.edit;
        const kept = chain.regions.filter(({ color }) => locked.includes(color));
        this.#apply({ upstream: this.incoming.text, draft: null, ...mergeRegions(this.incoming, kept) });
    }

    /**
     * What the next edit starts from, by the same rule that the node applies.
     * @returns {Edit | null}
     */
    #basis() {
        if (this.edit && !(this.takesNew && this.upstreamChanged)) return this.edit;
        return this.incoming && { upstream: this.incoming.text, chain: this.incoming, draft: null, locked: [] };
    }

    #editableBasis() {
        const basis = this.#basis();
        if (!basis || !this.editable) throw new ChainError("There is no plan to change at the moment.");
        return basis;
    }

    /**
     * @param {(chain: Chain) => Chain} change
     * @param {string | null} kind
     */
    #rewrite(change, kind = null) {
        const basis = this.#editableBasis();
        const chain = change(basis.chain);
        keepLocked(basis, chain);
        this.#apply({ ...basis, chain, draft: null }, kind);
        return chain;
    }

    /**
     * @param {Edit | null} edit
     * @param {string | null} kind
     */
    #apply(edit, kind = null) {
        if (JSON.stringify(edit) === JSON.stringify(this.edit)) return this.#onChange(true);
        if (kind !== this.#kind) this.seal();
        if (this.#kind === null) this.#undo.push(this.edit);
        this.#redo = [];
        this.#kind = kind;
        this.edit = edit;
        this.#onChange(true);
        if (kind === null) this.#onStep();
    }

    /**
     * @param {(Edit | null)[]} from
     * @param {(Edit | null)[]} to
     */
    #step(from, to) {
        const edit = from.pop();
        if (edit === undefined) return;
        this.seal();
        to.push(this.edit);
        this.edit = edit;
        this.#onChange(true);
        this.#onStep();
    }
}

/**
 * @param {unknown} value as it was saved
 * @returns {Edit | null}
 */
function editFromValue(value) {
    if (typeof value !== "string") throw new ChainError("It is no text.");
    return value.trim() ? editFromJson(JSON.parse(value)) : null;
}

/**
 * @param {any} data
 * @returns {Edit}
 */
function editFromJson(data) {
    if (typeof data?.upstream !== "string") throw new ChainError('It must hold "upstream" and "chain".');
    const chain = chainFromJson(data.chain);
    const { locked = [] } = data;
    if (!Array.isArray(locked) || locked.some((color) => typeof color !== "string")) {
        throw new ChainError('"locked" must list the colours of the locked boxes.');
    }
    const edit = {
        upstream: clean(data.upstream),
        chain,
        draft: null,
        locked: inOrder(chain, locked),
    };
    return typeof data.draft === "string" ? written(edit, data.draft) : edit;
}

/**
 * The edit with other prose. Where that is no chain, or changes what is locked, it is a draft.
 * @param {Edit} edit
 * @param {string} text
 * @returns {Edit}
 */
function written(edit, text) {
    try {
        const chain = parseChain(text, edit.chain.task, edit.chain.prompt);
        keepLocked(edit, chain);
        return { ...edit, chain, draft: null };
    } catch (error) {
        if (!(error instanceof ChainError)) throw error;
        const { message, start, end } = error;
        return { ...edit, draft: { text, message, start: start ?? 0, end: end ?? 0 } };
    }
}

/**
 * @param {Chain} chain
 * @param {string} color
 */
function indexOf(chain, color) {
    const index = chain.regions.findIndex((region) => region.color === color);
    if (index < 0) throw new ChainError(`There is no ${color} box.`);
    return index;
}

/**
 * The colours that are a region's, in the order of the regions.
 * @param {Chain} chain
 * @param {readonly string[]} colors
 */
function inOrder(chain, colors) {
    return chain.regions.map(({ color }) => color).filter((color) => colors.includes(color));
}

/**
 * @param {Edit} edit
 * @param {Chain} chain what is to follow
 * @throws {ChainError} a locked region would not stay as it is
 */
function keepLocked({ chain: { regions }, locked }, chain) {
    for (const { phrase, box, color } of regions.filter((region) => locked.includes(region.color))) {
        const after = chain.regions.find((region) => region.color === color);
        if (after?.phrase !== phrase || !sameBox(after.box, box)) {
            throw new ChainError(`'${phrase}' is locked. Unlock it first.`, ...(after?.span ?? []));
        }
    }
}

/**
 * A new chain with the kept regions in it: where it has the same phrase, that region moves; else one is added.
 * @param {Chain} chain
 * @param {readonly Region[]} kept
 */
function mergeRegions(chain, kept) {
    /** @type {string[]} */
    const locked = [];
    for (const region of kept) {
        const same = chain.regions.findIndex(({ phrase, color }) => phrase === region.phrase && !locked.includes(color));
        if (same >= 0) {
            chain = moveBox(chain, same, region.box);
            locked.push(chain.regions[same].color);
            continue;
        }
        if (chain.regions.length === MAX_REGIONS) {
            chain = removeRegion(chain, chain.regions.findLastIndex(({ color }) => !locked.includes(color)));
        }
        chain = insertRegion(chain, region);
        locked.push(chain.regions.at(-1)?.color ?? "");
    }
    const lost = kept.find(({ phrase }, index) => chain.regions[indexOf(chain, locked[index])].phrase !== phrase);
    if (lost) throw new ChainError(`There is no room for '${lost.phrase}' in the new plan. Unlock a few boxes.`);
    return { chain, locked: inOrder(chain, locked) };
}

/**
 * The same box a little further down and to the right, or up and to the left where there is no room.
 * @param {Box} box
 * @returns {Box}
 */
function beside([x1, y1, x2, y2]) {
    const right = x2 + DUPLICATE_OFFSET < 1000 ? DUPLICATE_OFFSET : -Math.min(x1, DUPLICATE_OFFSET);
    const down = y2 + DUPLICATE_OFFSET < 1000 ? DUPLICATE_OFFSET : -Math.min(y1, DUPLICATE_OFFSET);
    return [x1 + right, y1 + down, x2 + right, y2 + down];
}
