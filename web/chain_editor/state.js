/**
 * What the editor holds, and what of it is shown: the incoming chain, or the artist's edit of it. Without an edit the
 * incoming chain passes through.
 */

import { parseChain } from "./chain.js";
import { plannedAround, unchanged } from "./edit.js";
import { updatedPrompt } from "./prompt_update.js";

/**
 * @typedef {import("./chain.js").Chain} Chain
 * @typedef {import("./edit.js").Edit} Edit
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./notation.js").Region} Region
 */

export class ChainState {
    /** @type {Chain | null} */
    incoming = null;
    /** @type {readonly Chain[]} those that the model upstream has written of one prompt, the incoming one among them */
    variants = [];
    /** Whether a chain may come in. */
    connected = false;
    /** @type {string} what a plan is for that the artist makes alone: a new picture, or a change of one */
    ownTask = "generate";
    /** @type {Edit | null} */
    edit = null;
    /** @type {Chain | null} what the model upstream is writing at the moment */
    streamed = null;
    /** @type {boolean} whether GoT Reason stands upstream and can be told to plan around what is locked */
    canReplan = false;
    /** Whether a new incoming chain takes the place of an edit of another one. */
    takesNew = false;
    /** Whether the prompt follows what changes in the plan. */
    follows = true;
    /** @type {{value: string, message: string} | null} a saved value that is no edit */
    unreadable = null;
    /** What is said where there is no plan to edit; empty: there is one, or one can be made. */
    idle = "";

    /** The chain that is used, or the one that is being written. */
    get chain() {
        return this.streamed ?? this.basis.chain;
    }

    /** The prompt that goes with the chain. */
    get prompt() {
        return this.basis.chain.prompt;
    }

    /** Which changes of the plan the prompt does not follow, in sentences. */
    get missed() {
        const { origin, chain } = this.basis;
        return this.follows && !this.streamed ? updatedPrompt(origin.prompt, origin, chain).missed : [];
    }

    get draft() {
        return this.streamed ? null : this.basis.draft;
    }

    get editable() {
        return !this.streamed && !this.unreadable && !this.idle;
    }

    /** Whether there is nothing to see yet: no words and no boxes. */
    get blank() {
        return !this.streamed && !this.draft && !this.chain.text.trim();
    }

    /** Whether the artist has taken all words out of a plan that came in. */
    get emptied() {
        return this.edit !== null && this.blank && (this.incoming?.text.trim() ?? "") !== "";
    }

    get upstreamChanged() {
        return this.edit !== null && this.incoming !== null && this.edit.upstream !== this.incoming.text;
    }

    /** Whether the rest is to be planned anew around what is locked, and has not been yet. */
    get replans() {
        return this.edit !== null && this.edit.replan && !this.upstreamChanged;
    }

    /** Whether what is shown was planned around what is locked. */
    get replanned() {
        return this.edit !== null && this.edit.replan && this.upstreamChanged;
    }

    get hasLocked() {
        return !this.streamed && this.basis.locked.length > 0;
    }

    /** Whether the edit can be kept: one of a picture's change cannot serve to make a new picture. */
    get fitsIncoming() {
        return this.edit?.chain.task === this.incoming?.task;
    }

    /**
     * @param {readonly string[]} colors
     * @returns {ReadonlyMap<string, Box>} by the regions' colours
     */
    boxesOf(colors) {
        const regions = this.chain.regions.filter(({ color }) => colors.includes(color));
        return new Map(regions.map(({ color, box }) => [color, box]));
    }

    /** @returns {readonly Region[]} from the one at the back to the one in front */
    get stacked() {
        return this.chain.regions.toSorted((first, second) => this.level(first) - this.level(second));
    }

    /**
     * How far in front a region lies: 0 unless somebody has put it elsewhere.
     * @param {Region} region
     */
    level({ detail }) {
        return detail.order;
    }

    /** @param {string} color */
    isLocked(color) {
        return !this.streamed && this.basis.locked.includes(color);
    }

    /**
     * Whether a region is not drawn.
     * @param {string} color
     */
    isOff(color) {
        return this.region(color)?.detail.on === false;
    }

    /** @param {string | null} color */
    region(color) {
        return this.chain.regions.find((region) => region.color === color) ?? null;
    }

    /**
     * What the next edit starts from, by the same rule that the node applies; with nothing at all, from an empty page.
     * @returns {Edit}
     */
    get basis() {
        const { edit, incoming } = this;
        if (edit && !((this.takesNew || edit.replan) && this.upstreamChanged)) return edit;
        if (edit?.replan && incoming) return plannedAround(edit, incoming);
        return unchanged(incoming ?? parseChain("", this.ownTask, ""));
    }
}
