/** Several plans of one prompt, as small pictures of their boxes to choose from. */

import { texts } from "../comfyui/language.js";
import { element, setAttributes, shape } from "./elements.js";

/**
 * @typedef {import("./chain.js").Chain} Chain
 * @typedef {import("./model.js").ChainModel} ChainModel
 */

export class Variants {
    element = element("div", { class: "got-variants", role: "group", "aria-label": texts().variants.name, hidden: "" });
    /** @type {readonly Chain[]} */
    #drawn = [];

    /** @param {ChainModel} model */
    draw(model) {
        const { variants } = model;
        this.element.hidden = variants.length < 2;
        if (variants !== this.#drawn) {
            this.#drawn = variants;
            this.element.replaceChildren(...variants.map(thumbnail));
        }
        for (const [index, button] of [...this.element.children].entries()) {
            setAttributes(button, { "aria-pressed": String(variants[index].text === model.chain.text) });
            /** @type {HTMLButtonElement} */ (button).disabled = !model.editable;
        }
    }

    /**
     * @param {import("./controller.js").Listen} on
     * @param {(index: number) => void} choose
     */
    listen(on, choose) {
        on(this.element, "click", (event) => {
            const button = /** @type {Element} */ (event.target).closest("button");
            if (button) choose([...this.element.children].indexOf(button));
        });
    }
}

/**
 * @param {Chain} chain
 * @param {number} index
 * @param {readonly Chain[]} all
 */
function thumbnail({ regions, text }, index, all) {
    const { variants: say } = texts();
    const boxes = regions.map(({ box: [x1, y1, x2, y2], color }) => {
        const box = shape("rect", { x: `${x1}`, y: `${y1}`, width: `${x2 - x1}`, height: `${y2 - y1}` });
        box.style.stroke = color;
        return box;
    });
    const words = regions.map(({ phrase }) => phrase).join(", ") || say.noBoxes;
    const picture = shape("svg", { viewBox: "0 0 1000 1000", preserveAspectRatio: "none", "aria-hidden": "true" }, ...boxes);
    const label = say.plan(index + 1, all.length, words);
    return element("button", { type: "button", "aria-label": label, title: text.replaceAll(/<\|.*?\|>/g, "") }, picture);
}
