/** Plans of other models and editors, pasted: the server reads them, and the plan becomes the chain. */

import { scan } from "./notation.js";

/**
 * @typedef {import("./controller.js").ChainEditor} ChainEditor
 * @typedef {import("./controller.js").Listen} Listen
 * @typedef {import("./chain.js").Chain} Chain
 *
 * What the server is asked. The notation, and the width and height of the picture in pixels, are the artist's answers.
 * @typedef {{text: string, task: string, prompt: string, notation?: string, width?: number, height?: number}} Question
 *
 * What it answers, as in `pasted_plan` of nodes/_answers.py; null: it could not be asked.
 * @typedef {null | {
 *     chain?: unknown, notation?: string, notes?: readonly Record<string, string>[], ambiguous?: boolean,
 *     prose?: boolean, error?: Record<string, string>, size?: boolean,
 * }} Answer
 */

const IN_PIXELS = ["qwen2.5-vl", "bounding boxes"];
/** Signs of a notation with boxes; a chain's own, such as (1,2),(3,4), is none. */
const SIGNS = /[[{]|<loc_|<b?box>|canvas\s?\.|\(\s?[\d.]+%?(?:\s?,\s?[\d.]+%?){3}\s?\)/i;

/**
 * Whether the server is to be asked about a text.
 * @param {string} text
 */
export function mayBePlan(text) {
    return /\d|canvas\s?\./.test(text) && SIGNS.test(text);
}

export class Pasting {
    /** The text that was pasted; empty: none, or the artist is done with it. */
    text = "";
    /** How it is read: as found out, or as the artist says. */
    notation = "auto";
    /** @type {NonNullable<Answer>} */
    answer = {};
    /** Whether the size of the picture in pixels must be known first. */
    asksSize = false;
    /** @type {Chain | null} what became of it */
    chain = null;
    #editor;
    #ask;
    #asked = 0;

    /**
     * @param {ChainEditor} editor
     * @param {(question: Question) => Promise<Answer>} ask
     */
    constructor(editor, ask) {
        this.#editor = editor;
        this.#ask = ask;
    }

    /** Whether there is something to be said about it; not once the plan has been changed. */
    get counts() {
        return this.text !== "" && (this.asksSize || this.#editor.model.chain.text === this.chain?.text);
    }

    /** @param {Listen} on */
    listen(on) {
        const { root, paste } = this.#editor.view;
        on(root, "paste", (event) => this.#onPaste(event));
        on(paste.notation, "change", () => this.#readAs(paste.notation.value));
        on(paste.sizeForm, "submit", (event) => {
            event.preventDefault();
            this.#read(this.text, this.notation, paste.size);
        });
        on(paste.done, "click", () => this.#end());
    }

    /** @param {ClipboardEvent} event */
    #onPaste(event) {
        const target = /** @type {Element} */ (event.target);
        if (target.matches("input, textarea") || !this.#editor.model.editable) return;
        const text = event.clipboardData?.getData("text/plain") ?? "";
        if (!mayBePlan(text) && this.#editor.view.prose.element.contains(target)) return;
        event.preventDefault();
        this.take(text);
    }

    /**
     * Goes on with a plan in any notation.
     * @param {string} text that was put on the editor, and not into its words
     */
    take(text) {
        const { model, view } = this.#editor;
        const { found, problems } = scan(text);
        this.#end();
        if (mayBePlan(text)) this.#read(text, "auto");
        else if (found.length || problems.length) this.#editor.attempt(() => model.write(text));
        else this.#editor.say(view.paste.noPlan);
    }

    /** @param {string} notation */
    #readAs(notation) {
        Object.assign(this, { notation, asksSize: IN_PIXELS.includes(notation) });
        if (this.asksSize) this.#editor.draw();
        else this.#read(this.text, notation);
    }

    /**
     * @param {string} text
     * @param {string} notation
     * @param {{width: number, height: number} | null} size
     */
    async #read(text, notation, size = null) {
        const { model, view } = this.#editor;
        const { task } = model.chain;
        const prompt = model.follows && task === "generate" ? "" : model.prompt;
        const asked = (this.#asked += 1);
        const answer = await this.#ask({ text, task, prompt, notation, ...size });
        if (asked !== this.#asked || !model.editable) return;
        if (!answer || answer.prose) this.#type(text);
        else if (answer.error && !answer.size) this.#editor.say(view.paste.why(answer.error));
        else this.#take(text, notation, answer);
    }

    /**
     * @param {string} text
     * @param {string} notation
     * @param {NonNullable<Answer>} answer
     */
    #take(text, notation, answer) {
        this.#editor.attempt(() => {
            if (answer.chain) this.chain = this.#editor.model.paste(answer.chain);
            Object.assign(this, { text, notation, answer, asksSize: !answer.chain });
        });
        this.#editor.draw();
    }

    /**
     * What is no plan is typed where the caret is.
     * @param {string} text
     */
    #type(text) {
        const { prose, paste } = this.#editor.view;
        if (document.activeElement === prose.element) document.execCommand("insertText", false, text);
        else this.#editor.say(paste.noPlan);
    }

    #end() {
        Object.assign(this, { text: "", notation: "auto", answer: {}, asksSize: false, chain: null });
        this.#editor.draw();
    }
}
