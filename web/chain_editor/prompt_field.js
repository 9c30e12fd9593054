/** The prompt that goes with the plan, to be read and written, and whether it follows what changes in the plan. */

import { remarkInLanguage, texts } from "../comfyui/language.js";
import { element } from "./elements.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

export class PromptField {
    #say = texts().prompt;
    field = element("textarea", {
        class: "got-prompt", rows: "2", "aria-label": this.#say.name, "data-testid": "got-prompt", "data-capture-wheel": "true",
        spellcheck: "false", placeholder: this.#say.placeholder, title: this.#say.title,
    });
    follows = element("input", { type: "checkbox", "data-testid": "got-prompt-follows" });
    #note = element("div", { class: "got-prompt-note", role: "status", "data-testid": "got-prompt-note", hidden: "" });
    element = element(
        "div", { class: "got-prompt-part" },
        element(
            "div", { class: "got-heading" }, element("span", {}, this.#say.name), element("span", { class: "got-gap" }),
            element("label", { title: this.#say.followsTitle }, this.follows, this.#say.follows),
        ),
        this.field, this.#note,
    );
    /** The prompt as it was drawn last. */
    #drawn = "";

    /** @param {ChainModel} model */
    draw(model) {
        const { prompt, editable } = model;
        this.field.readOnly = !editable;
        this.follows.checked = model.follows;
        const missed = model.missed.map(remarkInLanguage);
        const [first, ...others] = missed;
        this.#note.hidden = first === undefined;
        this.#note.textContent = [first ?? "", ...(others.length ? [this.#say.more(others.length)] : [])].join(" ");
        this.#note.title = missed.join("\n");
        if (prompt === this.#drawn) return;  // what is being typed stays, also while it is no prompt
        this.#drawn = prompt;
        if (this.field.value !== prompt) this.field.value = prompt;
    }

    /** Gives up what was typed and is no prompt. */
    reset() {
        this.field.value = this.#drawn;
    }
}
