/**
 * What can be done to what the editor holds, and the way back through all edits. An edit is an immutable value, so undo is
 * a list of them.
 */

import {
    addRegion, changeDetails, ChainError, insertRegion, moveBox, parseChain, readChain, removeRegion, renameRegion,
} from "./chain.js";
import { chainFromJson } from "./chain_json.js";
import {
    beside, editFromValue, editToValue, indexOf, inOrder, keepLocked, lockedObjects, originOf, plannedAround, unchanged,
    withPrompt, written,
} from "./edit.js";
import { within } from "./details.js";
import { History } from "./history.js";
import { ChainState } from "./state.js";

/**
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./chain.js").Chain} Chain
 * @typedef {import("./notation.js").Region} Region
 * @typedef {import("./edit.js").Edit} Edit
 * @typedef {import("./details.js").Detail} Detail
 */

export const NEW_PHRASE = "a new object";
const MOST_VARIANTS = 64;

export class ChainModel extends ChainState {
    #history;
    #onChange;
    #onStep;

    /**
     * @param {(valueChanged: boolean) => void} onChange
     * @param {() => void} onStep is told when a step of undo is complete: a run of edits that are undone together is one
     */
    constructor(onChange, onStep = () => {}) {
        super();
        this.#onChange = onChange;
        this.#onStep = onStep;
        this.#history = new History(onStep);
    }

    get canUndo() {
        return this.#history.canUndo;
    }

    get canRedo() {
        return this.#history.canRedo;
    }

    // In and out

    /** The node's saved value. */
    get value() {
        if (this.unreadable) return this.unreadable.value;
        return this.edit ? editToValue(this.edit) : "";
    }

    /** Takes over a value that was set from outside: loaded, pasted, or brought back by the graph's undo. */
    set value(value) {
        if (value === this.value) return;
        this.#history.clear();
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
        this.connected = true;
        this.streamed = null;
        this.#onChange(false);
    }

    /**
     * Starts over with another plan.
     * @param {unknown} data as `chainToJson` gives it
     * @param {string} value of an edit of it that was begun before; empty: none
     */
    open(data, value) {
        this.#startOver("", chainFromJson(data));
        this.value = value;
    }

    /** @param {string} idle what is said where there is no plan to edit */
    rest(idle) {
        this.#startOver(idle, null);
    }

    /**
     * @param {string} idle
     * @param {Chain | null} incoming
     */
    #startOver(idle, incoming) {
        this.#history.clear();
        Object.assign(this, { idle, incoming, edit: null, unreadable: null });
        this.#onChange(false);
    }

    /**
     * Several plans of one prompt, to choose from.
     * @param {unknown} data each as `chainToJson` gives it; what is no plan is left out
     */
    offer(data) {
        const chains = (Array.isArray(data) ? data.slice(0, MOST_VARIANTS) : []).flatMap(planOrNothing);
        this.variants = chains.filter(({ text }, index) => chains.findIndex((chain) => chain.text === text) === index);
        this.#onChange(false);
    }

    /**
     * What the graph around the node says.
     * @param {boolean} connected
     * @param {string} ownTask
     * @param {boolean} canReplan
     */
    surround(connected, ownTask, canReplan = false) {
        if (connected === this.connected && ownTask === this.ownTask && canReplan === this.canReplan) return;
        Object.assign(this, { connected, ownTask, canReplan });
        if (!connected) this.incoming = null;
        this.#onChange(false);
    }

    /** Makes a plan that the artist has made alone one for what the graph around it is for by now. */
    followTask() {
        const { edit } = this;
        if (!edit || this.connected || edit.chain.task === this.ownTask) return;
        const [chain, origin] = [edit.chain, edit.origin].map((plan) => ({ ...plan, task: this.ownTask }));
        this.#apply({ ...edit, chain, origin });
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
        this.place(new Map([[color, box]]), kind);
    }

    /**
     * Gives several regions their boxes at once.
     * @param {ReadonlyMap<string, Box>} boxes by the regions' colours
     * @param {string | null} kind consecutive edits of one kind are undone together
     */
    place(boxes, kind = null) {
        this.#rewrite((chain) => [...boxes].reduce(
            (moved, [color, box]) => moveBox(moved, indexOf(moved, color), box), chain,
        ), kind);
    }

    /**
     * @param {string} color
     * @param {string} phrase
     */
    rename(color, phrase) {
        this.#rewrite((chain) => renameRegion(chain, indexOf(chain, color), phrase));
    }

    /** @param {string[]} colors */
    remove(...colors) {
        this.#rewrite((chain) => colors.reduce((rest, color) => removeRegion(rest, indexOf(rest, color)), chain));
    }

    /**
     * @param {Box} box
     * @returns {string} the new region's colour
     */
    add(box, phrase = NEW_PHRASE) {
        return newIn(this.chain, this.#rewrite((chain) => addRegion(chain, phrase, box)))[0];
    }

    /**
     * @param {string[]} colors
     * @returns {string[]} the new regions' colours
     */
    duplicate(...colors) {
        const before = this.chain;
        const chain = this.#rewrite(() => colors.reduce((longer, color) => {
            const region = longer.regions[indexOf(longer, color)];
            return insertRegion(longer, { ...region, box: beside(region.box) });
        }, before));
        return newIn(before, chain);
    }

    /**
     * Locks these regions; unlocks them where all are locked.
     * @param {string[]} colors
     */
    toggleLock(...colors) {
        const basis = this.#editableBasis();
        for (const color of colors) indexOf(basis.chain, color);
        const others = basis.locked.filter((other) => !colors.includes(other));
        const all = colors.every((color) => basis.locked.includes(color));
        const edit = { ...basis, locked: inOrder(basis.chain, all ? others : [...others, ...colors]) };
        this.#apply(basis.draft ? withPrompt(written(edit, basis.draft.text), this.follows) : edit);
    }

    /**
     * Lays regions over or under all others.
     * @param {readonly string[]} colors
     * @param {"front" | "back"} side
     */
    stack(colors, side) {
        const others = this.chain.regions.filter(({ color }) => !colors.includes(color)).map(({ detail }) => detail.order);
        const order = side === "front" ? Math.max(0, ...others) + 1 : Math.min(0, ...others) - 1;
        this.describe(colors, (detail) => ({ ...detail, order }));
    }

    /**
     * Changes what regions say besides their words and place; what is out of range ends at its limits.
     * @param {readonly string[]} colors
     * @param {(detail: Detail) => Detail} change
     * @param {string | null} kind consecutive edits of one kind are undone together
     */
    describe(colors, change, kind = null) {
        const basis = this.#editableBasis();
        for (const color of colors) indexOf(basis.chain, color);
        const chain = changeDetails(basis.chain, colors, (detail) => within(change(detail)));
        this.#apply({ ...basis, chain }, kind);
    }

    /**
     * The prose as it was typed.
     * @param {string} text
     * @param {readonly import("./details.js").Stated[]} pasted what boxes say that have come into it from elsewhere
     */
    write(text, pasted = []) {
        this.#apply(withPrompt(written(this.#editableBasis(), text, pasted), this.follows), "write");
    }

    /**
     * The prompt as it was typed; an empty one says what the plan says.
     * @param {string} text
     */
    writePrompt(text) {
        const basis = this.#editableBasis();
        this.#apply(withPrompt({ ...basis, origin: originOf(basis.chain, text) }, this.follows), "prompt");
    }

    /**
     * Goes on with a plan that was pasted. It brings its own prompt.
     * @param {unknown} data as `chainToJson` gives it
     */
    paste(data) {
        const basis = this.#editableBasis();
        const chain = chainFromJson(data);
        keepLocked(basis, chain);
        this.#apply({ ...basis, chain, draft: null, origin: chain });
        return chain;
    }

    /** @param {boolean} follows whether the prompt follows what has changed, and will change, in the plan */
    followPlan(follows) {
        this.follows = follows;
        if (this.edit && this.editable) this.#apply(withPrompt(this.edit, follows));
        else this.#onChange(false);
    }

    /** Ends a run of edits that are undone together. */
    seal() {
        this.#history.seal();
    }

    undo() {
        this.#goTo(this.#history.undo(this.edit));
    }

    redo() {
        this.#goTo(this.#history.redo(this.edit));
    }

    // When the incoming chain is no longer the one that was edited

    keepMine() {
        if (!this.edit || !this.incoming || !this.fitsIncoming) return;
        this.#apply({ ...this.edit, upstream: this.incoming.text, replan: false });
    }

    takeNew() {
        this.unreadable = null;
        const { edit, incoming } = this;
        const around = edit?.replan && incoming ? plannedAround(edit, incoming) : null;
        this.#apply(around?.locked.length ? around : null);
    }

    /**
     * Goes on with another one of the plans of this prompt.
     * @param {number} index
     */
    choose(index) {
        const chain = this.variants[index];
        if (!this.editable || chain.text === this.chain.text) return;
        const upstream = (this.incoming ?? this.variants[0]).text;  // the first is the one that goes on
        this.#apply(chain.text === this.incoming?.text ? null : { ...unchanged(chain), upstream });
    }

    /**
     * What is shown counts until another plan comes in.
     * @returns {string} what is locked, for GoT Reason to plan around
     */
    replan() {
        const edit = this.#editableBasis();
        this.#apply({ ...edit, upstream: this.incoming?.text ?? edit.upstream, replan: true });
        return lockedObjects(edit);
    }

    #editableBasis() {
        if (!this.editable) throw new ChainError("The plan cannot be changed at the moment.");
        return { ...this.basis, replan: false };
    }

    /**
     * @param {(chain: Chain) => Chain} change
     * @param {string | null} kind
     */
    #rewrite(change, kind = null) {
        const basis = this.#editableBasis();
        const chain = change(basis.chain);
        keepLocked(basis, chain);
        const edit = { ...basis, chain, draft: null };
        this.#apply(withPrompt(edit, this.follows), kind);
        return chain;
    }

    /**
     * @param {Edit | null} edit
     * @param {string | null} kind
     */
    #apply(edit, kind = null) {
        if (JSON.stringify(edit) === JSON.stringify(this.edit)) return this.#onChange(true);
        this.#history.add(this.edit, kind);
        this.edit = edit;
        this.#onChange(true);
        if (kind === null) this.#onStep();
    }

    /** @param {Edit | null | undefined} edit of the history; undefined: there is none */
    #goTo(edit) {
        if (edit === undefined) return;
        this.edit = edit;
        this.#onChange(true);
        this.#onStep();
    }
}

/**
 * The colours of the regions that one chain has and another has not.
 * @param {Chain} before
 * @param {Chain} after
 */
function newIn(before, after) {
    return after.regions.map(({ color }) => color).filter((color) => before.regions.every((region) => region.color !== color));
}

/**
 * @param {unknown} data of a workflow that may come from anybody
 * @returns {Chain[]}
 */
function planOrNothing(data) {
    try {
        return [chainFromJson(data)];
    } catch {
        return [];
    }
}
