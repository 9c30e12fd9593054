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
        const news = model.upstreamChanged && !model.unreadable;
        this.element.hidden = !news && !model.unreadable && !model.emptied;
        this.keepMine.hidden = this.merge.hidden = !news;
        this.keepMine.disabled = !model.fitsIncoming;
        this.takeNew.textContent = model.unreadable ? "Start again" : news ? "Take new" : "Bring it back";
        this.#text.textContent = messageOf(model);
    }
}

/** @param {ChainModel} model */
function messageOf(model) {
    if (model.unreadable) return `The saved version cannot be read: ${model.unreadable.message}`;
    if (!model.upstreamChanged) return "The plan is empty, so nothing would be drawn. The plan that came in is still there.";
    if (!model.fitsIncoming) return "The incoming plan is for another task.";
    return model.takesNew ? "A new plan came in and is used." : "A new plan came in. Yours is used.";
}
