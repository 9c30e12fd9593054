/** The review of a dataset: steps through its rows in a chain editor, and has each decision written. */

import { ChainEditor } from "../chain_editor/controller.js";
import { element } from "../chain_editor/elements.js";
import { texts } from "../comfyui/language.js";
import { givenOthers, isChanged, otherPrompts, saidNow } from "./answers.js";
import { ReviewBar } from "./bar.js";
import { commandOf } from "./keys.js";
import { Rows } from "./rows.js";

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
    /** @type {Rows | null} */
    #rows = null;
    #folder = "";
    #kind = "";
    /** Whether an answer is awaited: until it is there, no other decision counts. */
    #waits = false;

    /** @param {Host} host */
    constructor(host) {
        this.#host = host;
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
            if (this.#rows?.current) this.#rows.current.others = this.#others.value;
            this.#draw();
        });
        this.close();
    }

    /** Puts the rows away: others are asked for. */
    close() {
        this.#rows = null;
        this.#show();
    }

    /** A run has come to the node: the rows are opened, unless they are being reviewed. */
    async arrive() {
        const place = this.#host.place();
        if (!place || (this.#rows?.current && place.folder === this.#folder && place.rows === this.#kind)) return;
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
        if (this.#waits) return;
        if (command === "open" && !this.#rows?.current) this.#open();
        else if (command === "back" && this.#rows) this.#step(-1);
        else if (!this.#rows?.current) return;
        else if (command === "next") this.#step(1);
        else if (command === "turn") this.#turn();
        else if (command === "accept" || command === "reject") this.#decide(command);
    }

    async #open() {
        const place = this.#host.place();
        if (!place) return this.editor.say(this.#say.unknown);
        [this.#folder, this.#kind] = [place.folder, place.rows];
        const rows = new Rows();
        if (!await this.#fetch(rows)) return;
        this.#rows = rows;
        this.#show();
        this.editor.focus();
    }

    /**
     * Gets the next rows.
     * @param {Rows} rows
     * @returns {Promise<boolean>} whether they have come
     */
    async #fetch(rows) {
        const answer = await this.#ask("open", { skip: rows.count });
        if (answer) rows.add(answer);
        return answer !== null;
    }

    /** @param {number} by */
    async #step(by) {
        const { model } = this.editor;
        const rows = /** @type {Rows} */ (this.#rows);
        if (rows.current) rows.current.edit = model.value;
        rows.step(by);
        await this.#goOn();
    }

    /** Shows the row that comes now; the last of those that are here may have been decided on. */
    async #goOn() {
        const rows = /** @type {Rows} */ (this.#rows);
        if (rows.goesOn) await this.#fetch(rows);
        this.#show();
    }

    /** @param {"accept" | "reject"} decision */
    async #decide(decision) {
        const rows = /** @type {Rows} */ (this.#rows);
        const row = /** @type {import("./rows.js").Row} */ (rows.current);
        const { model } = this.editor;
        if (decision === "accept" && model.draft) return this.editor.say(this.#say.draft);
        const now = decision === "accept" ? saidNow(row, model) : {};
        const answer = await this.#ask("decide", { row: row.row, decision, ...now });
        if (rows !== this.#rows) return;  // put away meanwhile
        if (answer?.gone) rows.drop();
        else if (answer) rows.decide(decision, answer.row);
        else return;
        await this.#goOn();
        if (answer.gone) this.editor.say(answer.error);
        else if (answer.left_out) this.editor.say(this.#say.leftOut, false);
    }

    /**
     * The server's answer about these rows; null: there is none, and the editor says why.
     * @param {string} what
     * @param {object} question
     */
    async #ask(what, question) {
        this.#waits = true;
        const answer = await this.#host.asked(`/got/review/${what}`, { folder: this.#folder, rows: this.#kind, ...question });
        this.#waits = false;
        if (answer && (!answer.error || answer.gone)) return answer;
        this.editor.say(answer?.error ?? this.#say.noAnswer);
        return null;
    }

    /** Shows the source of an edit in place of its result, or the other way round. */
    #turn() {
        const { background } = this.editor.view.toolbar;
        background.value = background.value === "generated" && this.#rows?.current?.source ? "reference" : "generated";
        background.dispatchEvent(new Event("change"));
    }

    #show() {
        const row = this.#rows?.current;
        const { editor } = this;
        const { background } = editor.view.toolbar;
        background.value = row?.source ? "reference" : "generated";
        const url = (/** @type {string | null | undefined} */ name) => (name ? this.#host.pictureUrl(this.#folder, name) : "");
        editor.setPicture("generated", url(row?.image));
        editor.setPicture("reference", url(row?.source));
        if (row) editor.open(row.chain, row.edit ?? "");
        else editor.rest(this.#rows ? this.#ended(this.#rows) : this.#say.start);
        const next = this.#rows?.next;
        if (next) new Image().src = url(next.source ?? next.image);
    }

    /** @param {Rows} rows */
    #ended({ total, accepted, rejected }) {
        if (total) return this.#say.end(total);
        return accepted + rejected ? this.#say.allDone : this.#say.none;
    }

    #draw() {
        const row = this.#rows?.current;
        const { model } = this.editor;
        const others = row ? otherPrompts(row, model) : "";
        this.#othersPart.hidden = !row || row.prompts.length < 2;
        if (this.#others.value !== others) this.#others.value = others;
        const changed = row ? isChanged(model) || others !== givenOthers(row) : false;
        this.#bar.draw(this.#rows, changed);
    }
}
