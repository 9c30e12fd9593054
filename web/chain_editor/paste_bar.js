/** The bar about a plan that was pasted: as what it was read, what was left out, and what its numbers mean. */

import { inLanguage, texts } from "../comfyui/language.js";
import { element } from "./elements.js";

/** @typedef {import("./paste.js").Pasting} Pasting */

/** What the artist can choose between where a notation does not say it, by the names of the notations. */
const CHOICES = /** @type {const} */ (["qwen3-vl", "ideogram", "qwen2.5-vl", "bounding boxes"]);
const NAMES = /** @type {Record<string, string>} */ ({
    "qwen3-vl": "Qwen3-VL", "qwen2.5-vl": "Qwen2.5-VL", ideogram: "Ideogram / Krea", elements: "ComfyUI elements",
    "bounding boxes": "ComfyUI boxes", kjnodes: "KJNodes", deno: "Deno", gligen: "GLIGEN", eligen: "EliGen", json: "JSON",
    consistcompose: "ConsistCompose", "florence-2": "Florence-2", omost: "Omost", paligemma: "PaliGemma",
});

export class PasteBar {
    #say = texts().paste;
    /** What is said where no plan was pasted. */
    noPlan = this.#say.noPlan;
    #text = element("span", { role: "status" });
    notation = element(
        "select", { "aria-label": this.#say.numbers, title: this.#say.numbers, "data-testid": "got-paste-notation" },
        element("option", { value: "auto" }, this.#say.asRead),
        ...CHOICES.map((name) => element("option", { value: name }, this.#say[name])),
    );
    done = element("button", { type: "button", title: this.#say.done, "aria-label": this.#say.done }, "\u2715");
    #width = sizeField(this.#say.width);
    #height = sizeField(this.#say.height);
    sizeForm = element(
        "form", { class: "got-paste-size" },
        this.#width, "\u00d7", this.#height,
        element("button", { type: "submit", "data-testid": "got-paste-read" }, this.#say.read),
    );
    #notes = element("ul", { class: "got-paste-notes" });
    element = element(
        "div", { class: "got-bar got-paste", "data-testid": "got-paste", hidden: "" },
        this.#text, this.done, this.notation, this.sizeForm, this.#notes,
    );

    /** @param {Record<string, string>} error why a text cannot be read, by language */
    why(error) {
        return inLanguage(error);
    }

    /** The size of the picture in pixels that the artist has typed. */
    get size() {
        return { width: this.#width.valueAsNumber, height: this.#height.valueAsNumber };
    }

    /**
     * @param {Pasting} pasting
     * @param {HTMLImageElement} picture behind the boxes: it may be the one that they were made for
     */
    draw(pasting, picture) {
        const { answer, notation, asksSize, chain } = pasting;
        const asked = asksSize && this.sizeForm.hidden;
        this.element.hidden = !pasting.counts;
        this.sizeForm.hidden = !asksSize;
        if (!pasting.counts) return;
        if (asked && picture.naturalWidth && !picture.hidden) {
            [this.#width.value, this.#height.value] = [String(picture.naturalWidth), String(picture.naturalHeight)];
        }
        const chosen = notation === "auto" ? answer.notation ?? "" : notation;
        this.#text.textContent = asksSize
            ? this.#say.whichPicture : this.#say.readAs(chain?.regions.length ?? 0, NAMES[chosen] ?? chosen);
        this.notation.hidden = !answer.ambiguous && notation === "auto" && !asksSize;
        this.notation.value = CHOICES.some((name) => name === chosen) ? chosen : "auto";
        this.element.classList.toggle("got-quiet", !answer.ambiguous && !asksSize);
        const notes = asksSize ? [] : answer.notes ?? [];
        this.#notes.hidden = notes.length === 0;
        this.#notes.replaceChildren(...notes.map((note) => element("li", {}, inLanguage(note))));
    }
}

/** @param {string} title */
function sizeField(title) {
    return element("input", { type: "number", title, "aria-label": title, min: "1", max: "16384", step: "1", required: "" });
}
