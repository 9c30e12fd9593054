/** Draws the editor: tools, a bar for news, boxes over a picture, prose, and a message. */

import { Bar } from "./bar.js";
import { Boxes } from "./boxes.js";
import { element } from "./elements.js";
import { coordinatesNotRead } from "./lookalikes.js";
import { Prose } from "./prose.js";
import { Toolbar } from "./toolbar.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

const EMPTY = "Run the workflow once: the plan appears here.";

export class ChainView {
    toolbar = new Toolbar();
    bar = new Bar();
    boxes = new Boxes();
    prose = new Prose();
    picture = element("img", { alt: "", draggable: "false", hidden: "" });
    #empty = element("div", { class: "got-empty" }, EMPTY);
    canvas = element("div", { class: "got-canvas" }, this.picture, this.boxes.svg, this.boxes.labels, this.#empty);
    #message = element("div", { class: "got-message", role: "status", "aria-live": "polite" });
    root = element(
        "div",
        {
            class: "got-chain-editor", role: "group", "aria-label": "Chain editor", "data-testid": "got-chain-editor",
            tabindex: "-1",
        },
        this.toolbar.element, this.bar.element, element("div", { class: "got-stage" }, this.canvas),
        this.prose.element, this.#message,
    );

    /**
     * @param {ChainModel} model
     * @param {string | null} selected a region's colour
     * @param {string} message
     */
    draw(model, selected, message) {
        const { chain, draft, editable } = model;
        const region = model.region(selected);
        const isSelected = (/** @type {string} */ color) => color === selected;
        const isLocked = (/** @type {string} */ color) => model.isLocked(color);
        this.root.classList.toggle("got-streaming", model.streamed !== null);
        this.#empty.hidden = chain !== null;
        this.toolbar.draw(model, selected);
        this.bar.draw(model);
        this.boxes.draw(chain?.regions ?? [], isSelected, isLocked);
        this.boxes.drawHandles(editable && region && !isLocked(region.color) ? region : null);
        this.prose.draw(draft?.text ?? chain?.text ?? "", draft ? null : chain, editable);
        this.prose.mark(isSelected, isLocked);
        this.prose.underline(draft);
        const warning = chain && !draft && !model.streamed ? coordinatesNotRead(chain.text) : null;
        const wrong = message || draft?.message || warning;
        this.#message.textContent = wrong || (model.streamed ? "The plan is being written" : "");
        this.#message.classList.toggle("got-wrong", Boolean(wrong));
    }

    /**
     * @param {string} url empty: none
     * @param {number} opacity in [0, 1]
     */
    showPicture(url, opacity) {
        this.picture.hidden = url === "";
        if (url !== (this.picture.getAttribute("src") ?? "")) this.picture.setAttribute("src", url);
        this.picture.style.opacity = String(opacity);
    }

    /** @param {number} aspect width over height */
    setAspect(aspect) {
        this.canvas.style.setProperty("--got-aspect", String(aspect));
    }

    remove() {
        this.prose.underline(null);
        this.root.remove();
    }
}
