/** A menu of commands over the editor, opened by a right click or by the keyboard's own key for it. */

import { texts } from "../comfyui/language.js";
import { element } from "./elements.js";

/**
 * A command; null between two stands for a line.
 * @typedef {{name: string, label: string, keys?: string, disabled?: boolean}} Command
 */

export class Menu {
    /** @type {HTMLElement | null} what had the focus, which gets it back */
    #opener = null;
    /** @type {(name: string) => void} */
    #choose = () => {};
    element = element("div", { class: "got-menu", role: "menu", "aria-label": texts().menu.name, tabindex: "-1", hidden: "" });

    constructor() {
        this.element.addEventListener("keydown", (event) => this.#onKey(event));
        this.element.addEventListener("click", (event) => {
            const item = /** @type {Element} */ (event.target).closest("[role=menuitem]");
            if (item instanceof HTMLElement) this.#use(item);
        });
        this.element.addEventListener("focusout", ({ relatedTarget }) => {
            if (!this.element.contains(/** @type {Node | null} */ (relatedTarget))) this.element.hidden = true;
        });
        this.element.addEventListener("contextmenu", (event) => event.preventDefault());
    }

    get #items() {
        return /** @type {HTMLElement[]} */ ([...this.element.querySelectorAll("[role=menuitem]:not([aria-disabled=true])")]);
    }

    /**
     * @param {readonly (Command | null)[]} commands
     * @param {{x: number, y: number}} point on the screen
     * @param {(name: string) => void} choose
     */
    open(commands, point, choose) {
        const { activeElement } = document;
        this.#opener = activeElement instanceof HTMLElement || activeElement instanceof SVGElement
            ? /** @type {HTMLElement} */ (activeElement) : null;
        this.#choose = choose;
        this.element.replaceChildren(...commands.map(itemOf));
        this.element.hidden = false;
        this.#placeAt(point);
        this.#items[0]?.focus({ preventScroll: true });
    }

    /**
     * At the point, or as near as the editor has room for the menu. ComfyUI may show the editor enlarged or made smaller.
     * @param {{x: number, y: number}} point on the screen
     */
    #placeAt({ x, y }) {
        const host = /** @type {HTMLElement} */ (this.element.offsetParent ?? this.element.parentElement);
        const frame = host.getBoundingClientRect();
        const scale = frame.width / host.offsetWidth || 1;
        const { offsetWidth, offsetHeight } = this.element;
        const [left, top] = [(x - frame.left) / scale, (y - frame.top) / scale];
        this.element.style.left = `${Math.max(Math.min(left, host.offsetWidth - offsetWidth - 4), 4)}px`;
        this.element.style.top = `${Math.max(Math.min(top, host.offsetHeight - offsetHeight - 4), 4)}px`;
    }

    /** @param {HTMLElement} item */
    #use(item) {
        if (item.getAttribute("aria-disabled") === "true") return;
        this.#close();
        this.#choose(item.dataset.command ?? "");
    }

    #close() {
        this.#opener?.focus({ preventScroll: true });
        this.element.hidden = true;
    }

    /** @param {KeyboardEvent} event */
    #onKey(event) {
        const items = this.#items;
        const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
        const next = {
            ArrowDown: items[(at + 1) % items.length],
            ArrowUp: items.at(at < 0 ? -1 : at - 1),
            Home: items[0],
            End: items.at(-1),
        }[event.key];
        if (next) next.focus({ preventScroll: true });
        else if (event.key === "Enter" || event.key === " ") this.#use(items[at]);
        else if (event.key === "Escape" || event.key === "Tab") this.#close();
        event.preventDefault();
        event.stopPropagation();
    }
}

/** @param {Command | null} command */
function itemOf(command) {
    if (!command) return element("div", { class: "got-line", role: "separator" });
    const { name, label, keys = "", disabled = false } = command;
    const attributes = {
        role: "menuitem", tabindex: "-1", "data-command": name, "aria-disabled": String(disabled),
        ...(keys && { "aria-keyshortcuts": keys.replace("Ctrl", "Control") }),
    };
    return element("div", attributes, element("span", {}, label), element("kbd", { "aria-hidden": "true" }, keys));
}
