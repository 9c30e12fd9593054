/** The bar that asks what to do when a new plan has come in, or the saved one cannot be read. */

import { element, textButton } from "./elements.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

export class Bar {
    #text = element("span", {});
    keepMine = textButton("got-keep-mine", "Keep mine", "Go on with your version");
    takeNew = textButton("got-take-new", "Take new", "Go on with the incoming plan; undo brings yours back");
    replan = textButton(
        "got-replan", "Replan around locked", "The next run plans the rest anew; locked boxes stay as they are",
    );
    element = element(
        "div", { class: "got-bar", role: "status", hidden: "" },
        this.#text, this.keepMine, this.takeNew, this.replan,
    );

    /** @param {ChainModel} model */
    draw(model) {
        const news = model.upstreamChanged && !model.unreadable;
        const asks = news || model.unreadable !== null || model.emptied;
        const locked = model.hasLocked && model.canReplan && !model.unreadable;
        this.element.hidden = !asks && !model.replans && !locked;
        this.element.classList.toggle("got-quiet", !asks);
        this.keepMine.hidden = !news;
        this.takeNew.hidden = !asks;
        this.replan.hidden = !locked || model.replans;
        this.keepMine.disabled = !model.fitsIncoming;
        this.takeNew.textContent = model.unreadable ? "Start again" : news ? "Take new" : "Bring it back";
        this.#text.textContent = messageOf(model);
    }
}

/** @param {ChainModel} model */
function messageOf(model) {
    if (model.unreadable) return `The saved version cannot be read: ${model.unreadable.message}`;
    if (model.replans) return "Press Run: the rest is planned anew around the locked boxes.";
    if (!model.upstreamChanged && !model.emptied) return "Locked boxes stay as they are.";
    if (!model.upstreamChanged) return "The plan is empty, so nothing would be drawn. The plan that came in is still there.";
    if (model.replanned) return "Planned anew around your locked boxes.";
    if (!model.fitsIncoming) return "The incoming plan is for another task.";
    return model.takesNew ? "A new plan came in and is used." : "A new plan came in. Yours is used.";
}
