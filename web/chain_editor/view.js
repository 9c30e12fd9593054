/** Draws the editor: tools, a bar for news, boxes over a picture, prose, and a message. */

import { remarkInLanguage, texts } from "../comfyui/language.js";
import { Bar } from "./bar.js";
import { Boxes } from "./boxes.js";
import { element } from "./elements.js";
import { Inspector } from "./inspector.js";
import { coordinatesNotRead } from "./lookalikes.js";
import { Menu } from "./menu.js";
import { Numbers } from "./numbers.js";
import { PasteBar } from "./paste_bar.js";
import { PromptField } from "./prompt_field.js";
import { Prose } from "./prose.js";
import { Toolbar } from "./toolbar.js";
import { Variants } from "./variants.js";

/** @typedef {import("./model.js").ChainModel} ChainModel */

export class ChainView {
    #say = texts().editor;
    toolbar = new Toolbar();
    bar = new Bar();
    paste = new PasteBar();
    variants = new Variants();
    inspector = new Inspector();
    numbers = new Numbers(this.inspector.toggle);
    menu = new Menu();
    boxes = new Boxes();
    prompt = new PromptField();
    prose = new Prose();
    picture = element("img", { alt: "", draggable: "false", hidden: "" });
    #start = element("div", { class: "got-start", role: "status" });
    canvas = element("div", { class: "got-canvas" }, this.picture, this.boxes.svg, this.boxes.labels, this.#start);
    #message = element("div", { class: "got-message", role: "status", "aria-live": "polite" });
    #remarks = element("ul", { class: "got-plan-notes", role: "status", "aria-live": "polite", hidden: "" });
    root = element(
        "div",
        {
            class: "got-chain-editor", role: "group", "aria-label": this.#say.name, "data-testid": "got-chain-editor",
            tabindex: "-1",
        },
        this.toolbar.element, this.bar.element, this.paste.element, this.variants.element,
        element("div", { class: "got-stage" }, this.canvas),
        element(
            "div", { class: "got-panel" },
            this.numbers.element, this.inspector.element, this.prompt.element,
            element("div", { class: "got-heading" }, this.#say.plan), this.prose.element, this.#remarks, this.#message,
        ),
        this.menu.element,
    );

    /**
     * @param {ChainModel} model
     * @param {readonly string[]} selected colours of regions
     * @param {string} message
     * @param {boolean} wrong whether the message says that something could not be done
     */
    draw(model, selected, message, wrong) {
        const { chain, draft, editable } = model;
        this.root.classList.toggle("got-streaming", model.streamed !== null);
        this.#start.hidden = !model.blank;
        this.#start.textContent = model.idle || (model.connected && !model.emptied ? this.#say.startOrRun : this.#say.start);
        this.toolbar.draw(model, selected);
        this.bar.draw(model);
        this.variants.draw(model);
        this.boxes.draw(model, selected);
        this.numbers.draw(model, selected);
        this.inspector.draw(model, selected);
        this.prompt.draw(model);
        this.prose.draw(draft?.text ?? chain.text, draft ? null : chain, editable);
        this.prose.mark((color) => selected.includes(color), (color) => model.isLocked(color), (color) => model.isOff(color));
        this.prose.underline(draft);
        const warning = draft || model.streamed ? null : coordinatesNotRead(chain.text);
        const problem = remarkInLanguage(draft?.message || warning || "");
        this.#message.textContent = message || problem || (model.streamed ? this.#say.writing : "");
        this.#message.classList.toggle("got-wrong", message ? wrong : Boolean(problem));
    }

    /** @param {readonly string[]} sentences what is to be said about the plan */
    remark(sentences) {
        this.#remarks.hidden = sentences.length === 0;
        this.#remarks.replaceChildren(...sentences.map((sentence) => element("li", {}, sentence)));
        this.prose.revealAgain();
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
        this.root.style.setProperty("--got-aspect", String(aspect));
    }

    remove() {
        this.boxes.dispose();
        this.prose.underline(null);
        this.root.remove();
    }
}
