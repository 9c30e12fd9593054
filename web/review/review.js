/** The review of a dataset: steps through its rows in a chain editor, and has each decision written. */

import { ChainEditor } from "../chain_editor/controller.js";
import { element } from "../chain_editor/elements.js";
import { texts } from "../comfyui/language.js";
import { givenOthers, isChanged, otherPrompts, saidNow } from "./answers.js";
import { ReviewBar } from "./bar.js";
import { commandOf } from "./keys.js";
import { Sitting } from "./sitting.js";

/** @typedef {import("./rows.js").Rows} Rows */

/**
 * What the review asks of the page that it is on. `asked` gives the server's answer, null: it cannot be asked; `place`
 * says which rows of which folder are to be reviewed, null: the folder is not known before a run.
 * @typedef {{
 *     asked: (path: string, question: object) => Promise<any>,
 *     place: () => {folder: string, rows: string} | null,
 *     pictureUrl: (folder: string, name: string) => string,
 *     pasted: (question: import("../chain_editor/paste.js").Question) => Promise<import("../chain_editor/paste.js").Answer>,
 * }} Host
 */

export class Review {
    #say = texts().review;
    #host;
    #bar = new ReviewBar();
    #others = element("textarea", {
        class: "got-prompt", rows: "2", spellcheck: "false", "data-capture-wheel": "true",
        "aria-label": this.#say.others, title: this.#say.othersTitle, "data-testid": "got-review-others",
    });
    #othersPart = element(
        "div", { class: "got-prompt-part", hidden: "" }, element("div", { class: "got-heading" }, this.#say.others), this.#others,
    );
    #sitting;

    /** @param {Host} host */
    constructor(host) {
        this.#host = host;
        this.#sitting = new Sitting(host, (error) => this.editor.say(error ?? this.#say.noAnswer));
        this.editor = new ChainEditor({
            edited: () => {}, stepped: () => {}, followed: () => {}, drawn: () => this.#draw(), replanned: () => "",
            pasted: host.pasted,
        });
        const { view } = this.editor;
        view.toolbar.element.after(this.#bar.element);
        view.prompt.element.after(this.#othersPart);
        view.toolbar.opacity.value = "100";
        view.toolbar.nameBackgrounds(this.#say.result, this.#say.source, this.#say.behind);
        view.root.addEventListener("keydown", (event) => this.#press(event));
        for (const [name, button] of Object.entries(this.#bar.buttons)) {
            button.addEventListener("click", () => this.#use(name));
        }
        this.#others.addEventListener("input", () => {
            const row = this.#sitting.rows?.current;
            if (row) row.others = this.#others.value;
            this.#draw();
        });
        this.close();
    }

    /** Puts the rows away: others are asked for. */
    close() {
        this.#sitting.close();
        this.#show();
    }

    /** Puts the rows away if the node is set to others now. */
    follow() {
        if (this.#sitting.isElsewhere) this.close();
    }

    /** A run has come to the node: the rows are opened, unless they are being reviewed. */
    async arrive() {
        if (!this.#host.place() || (this.#sitting.rows?.current && !this.#sitting.isElsewhere)) return;
        await this.#open();
        if ([null, document.body].includes(/** @type {HTMLElement | null} */ (document.activeElement))) this.editor.focus();
    }

    dispose() {
        this.editor.dispose();
    }

    /** @param {KeyboardEvent} event */
    #press(event) {
        const command = commandOf(event);
        if (!command || event.defaultPrevented) return;
        event.preventDefault();
        if (command === "leave") this.editor.focus();
        else this.#use(command);
    }

    /** @param {string} command */
    #use(command) {
        const { rows, waits } = this.#sitting;
        if (waits) return;
        if (command === "open" && !rows?.current) this.#open();
        else if (command === "back" && rows) this.#step(-1);
        else if (!rows?.current) return;
        else if (command === "next") this.#step(1);
        else if (command === "turn") this.#turn();
        else if (command === "accept" || command === "reject") this.#decide(command);
    }

    async #open() {
        const place = this.#host.place();
        if (!place) return this.editor.say(this.#say.unknown);
        if (!await this.#sitting.open(place)) return;
        this.#show();
        this.editor.focus();
    }

    /** @param {number} by */
    async #step(by) {
        const rows = /** @type {Rows} */ (this.#sitting.rows);
        if (rows.current) rows.current.edit = this.editor.model.value;
        rows.step(by);
        if (await this.#sitting.goOn()) this.#show();
    }

    /** @param {"accept" | "reject"} decision */
    async #decide(decision) {
        const row = /** @type {import("./rows.js").Row} */ (this.#sitting.rows?.current);
        const { model } = this.editor;
        if (decision === "accept" && model.draft) return this.editor.say(this.#say.draft);
        const answer = await this.#sitting.decide(decision, decision === "accept" ? saidNow(row, model) : {});
        if (!answer || !await this.#sitting.goOn()) return;
        this.#show();
        if (answer.gone) this.editor.say(answer.error);
        else if (answer.left_out) this.editor.say(this.#say.leftOut, false);
    }

    /** Shows the source of an edit in place of its result, or the other way round. */
    #turn() {
        const { background } = this.editor.view.toolbar;
        background.value = background.value === "generated" && this.#sitting.rows?.current?.source ? "reference" : "generated";
        background.dispatchEvent(new Event("change"));
    }

    #show() {
        const { rows, place } = this.#sitting;
        const row = rows?.current;
        const { editor } = this;
        const { background } = editor.view.toolbar;
        background.value = row?.source ? "reference" : "generated";
        const url = (/** @type {string | null | undefined} */ name) => (place && name ? this.#host.pictureUrl(place.folder, name) : "");
        editor.setPicture("generated", url(row?.image));
        editor.setPicture("reference", url(row?.source));
        if (row) editor.open(row.chain, row.edit ?? "");
        else editor.rest(rows ? this.#ended(rows) : this.#say.start);
        const next = rows?.next;
        if (next) new Image().src = url(next.source ?? next.image);
    }

    /** @param {Rows} rows */
    #ended({ total, accepted, rejected }) {
        if (total) return this.#say.end(total);
        return accepted + rejected ? this.#say.allDone : this.#say.none;
    }

    #draw() {
        const { rows } = this.#sitting;
        const row = rows?.current;
        const { model } = this.editor;
        const others = row ? otherPrompts(row, model) : "";
        this.#othersPart.hidden = !row || row.prompts.length < 2;
        if (this.#others.value !== others) this.#others.value = others;
        const changed = row ? isChanged(model) || others !== givenOthers(row) : false;
        this.#bar.draw(rows, changed);
    }
}
