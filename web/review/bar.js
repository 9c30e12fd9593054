/** The bar of the review: which row is shown, why it is doubtful, and what can be done with it. */

import { element, textButton } from "../chain_editor/elements.js";
import { texts } from "../comfyui/language.js";

/** @typedef {import("./rows.js").Rows} Rows */

export class ReviewBar {
    #say = texts().review;
    #title = element("span", { class: "got-review-title" });
    #count = element("span", { class: "got-review-count" });
    #reasons = element("ul", { class: "got-review-reasons", hidden: "" });
    buttons = {
        open: textButton("got-review-open", this.#say.open, this.#say.openTitle),
        back: textButton("got-review-back", this.#say.back, this.#say.backTitle),
        next: textButton("got-review-next", this.#say.next, this.#say.nextTitle),
        reject: textButton("got-review-reject", this.#say.reject, this.#say.rejectTitle),
        accept: textButton("got-review-accept", this.#say.accept, this.#say.acceptTitle),
    };
    element = element(
        "div",
        { class: "got-bar got-quiet got-review", role: "group", "aria-label": this.#say.name, "data-testid": "got-review" },
        element("div", { class: "got-review-line", role: "status", "aria-live": "polite" }, this.#title, this.#count),
        element("div", { class: "got-review-line" }, ...Object.values(this.buttons)),
        this.#reasons,
    );

    /**
     * @param {Rows | null} rows null: none are open
     * @param {boolean} changed whether the artist has changed the row that is shown
     */
    draw(rows, changed) {
        const row = rows?.current;
        this.#title.textContent = rows && row ? this.#say.at(rows.number, rows.total, row.image) : "";
        this.#title.title = row?.image ?? "";
        this.#count.textContent = rows ? this.#say.decided(rows.accepted, rows.rejected) : "";
        const { open, back, ...others } = this.buttons;
        open.hidden = Boolean(row);
        back.hidden = !rows?.count;
        back.disabled = rows?.number === 1;
        for (const button of Object.values(others)) button.hidden = !row;
        this.buttons.accept.textContent = changed ? this.#say.acceptChanged : this.#say.accept;
        const reasons = row?.reasons ?? [];
        this.#reasons.hidden = reasons.length === 0;
        this.#reasons.replaceChildren(...reasons.map((reason) => element("li", {}, reason)));
    }
}
