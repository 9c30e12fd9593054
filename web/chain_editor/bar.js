/** The bar that asks what to do when a new plan has come in, or the saved one cannot be read. */

import { element, textButton } from "./elements.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

export class Bar {
    #text = element("span", {});
    keepMine = textButton("got-keep-mine", "Keep mine", "Go on with your version");
    takeNew = textButton("got-take-new", "Take new", "Go on with the incoming plan; undo brings yours back");
    merge = textButton("got-merge", "Merge", "Locked boxes stay, the rest is new");
    element = element(
        "div", { class: "got-bar", role: "status", hidden: "" },
        this.#text, this.keepMine, this.takeNew, this.merge,
    );

    /** @param {ChainModel} model */
    draw(model) {
        this.element.hidden = !model.upstreamChanged && !model.unreadable;
        this.keepMine.hidden = this.merge.hidden = model.unreadable !== null;
        this.keepMine.disabled = !model.fitsIncoming;
        this.takeNew.textContent = model.unreadable ? "Start again" : "Take new";
        this.#text.textContent = model.unreadable
            ? `The saved version cannot be read: ${model.unreadable.message}`
            : !model.fitsIncoming ? "The incoming plan is for another task."
            : model.takesNew ? "A new plan came in and is used." : "A new plan came in. Yours is used.";
    }
}
