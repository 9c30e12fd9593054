/** Shows plans to be read: words with a chip for each box, and beneath them what is to be said about the plan. */

import { readChain } from "../chain_editor/chain.js";
import { putOnClipboard } from "../chain_editor/clipboard.js";
import { element } from "../chain_editor/elements.js";
import { Prose, selectedProse } from "../chain_editor/prose.js";
import { inLanguage, texts } from "../comfyui/language.js";

/** @typedef {import("./saved.js").Plan} Plan */

export class PlanView {
    constructor() {
        this.element = element("div", {
            class: "got-plan", role: "group", "aria-label": texts().planView.name, "data-testid": "got-plan",
            "data-capture-wheel": "true", tabindex: "0",
        });
        this.element.addEventListener("copy", (event) => {
            event.stopPropagation();  // ComfyUI would copy nodes
            const selected = selectedProse();
            if (!selected || !event.clipboardData) return;
            putOnClipboard(event.clipboardData, selected.text, []);
            event.preventDefault();
        });
        this.element.addEventListener("dragstart", ({ dataTransfer }) => {
            const selected = selectedProse();
            if (selected && dataTransfer) putOnClipboard(dataTransfer, selected.text, []);
        });
        this.element.addEventListener("keydown", (event) => {
            if (!event.ctrlKey && !event.metaKey) event.stopPropagation();  // Delete would remove the node
        });
    }

    /**
     * @param {readonly Plan[]} plans
     * @param {string | null} written the plan that is being written, as far as it is; null: none is
     */
    draw(plans, written) {
        const shown = written === null ? plans : [{ text: written, notes: [] }];
        this.element.classList.toggle("got-writing", written !== null);
        this.element.setAttribute("aria-busy", String(written !== null));
        if (shown.length) this.element.replaceChildren(...shown.flatMap(planPieces));
        else this.element.replaceChildren(element("div", { class: "got-plan-empty" }, texts().planView.empty));
        this.element.scrollTop = written === null ? 0 : this.element.scrollHeight;
    }
}

/** @param {Plan} plan */
function planPieces({ text, notes }) {
    const prose = new Prose();
    const chain = readChain(text, "generate", "");
    prose.draw(chain.text, chain, false);
    prose.element.className = "got-plan-words";
    prose.element.removeAttribute("tabindex");
    const said = notes.map((note) => element("li", {}, inLanguage(note)));
    return said.length ? [prose.element, element("ul", { class: "got-plan-notes" }, ...said)] : [prose.element];
}
