/** The bar that asks what to do when a new plan has come in, or the saved one cannot be read. */

import { texts } from "../comfyui/language.js";
import { element, textButton } from "./elements.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

export class Bar {
    #say = texts().bar;
    #text = element("span", {});
    keepMine = textButton("got-keep-mine", this.#say.keepMine, this.#say.goOnWithMine);
    takeNew = textButton("got-take-new", this.#say.takeNew, this.#say.goOnWithNew);
    replan = textButton("got-replan", this.#say.replan, this.#say.nextRun);
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
        this.takeNew.textContent = model.unreadable ? this.#say.startAgain : news ? this.#say.takeNew : this.#say.bringBack;
        this.#text.textContent = messageOf(model, this.#say);
    }
}

/**
 * @param {ChainModel} model
 * @param {import("../texts/en.js").Texts["bar"]} say
 */
function messageOf(model, say) {
    if (model.unreadable) return say.unreadable(model.unreadable.message);
    if (model.replans) return say.pressRun;
    if (!model.upstreamChanged && !model.emptied) return say.lockedStay;
    if (!model.upstreamChanged) return say.empty;
    if (model.replanned) return say.replanned;
    if (!model.fitsIncoming) return say.otherTask;
    return model.takesNew ? say.newIsUsed : say.yoursIsUsed;
}
