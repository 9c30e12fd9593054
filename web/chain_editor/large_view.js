/** The editor as large as the window, in a dialog. Its place on the node is kept, and it goes back there. */

import { texts } from "../comfyui/language.js";
import { element } from "./elements.js";

export class LargeView {
    #host;
    #editor;
    #onToggle;
    /** @type {HTMLDialogElement | null} */
    #dialog = null;

    /**
     * @param {HTMLElement} host holds the editor on the node
     * @param {HTMLElement} editor
     * @param {(open: boolean) => void} onToggle
     */
    constructor(host, editor, onToggle) {
        this.#host = host;
        this.#editor = editor;
        this.#onToggle = onToggle;
    }

    get isOpen() {
        return this.#dialog !== null;
    }

    toggle() {
        if (this.isOpen) this.close();
        else this.#open();
    }

    close() {
        this.#dialog?.close();
    }

    #open() {
        const dialog = element("dialog", { class: "got-large", "aria-label": texts().editor.large });
        this.#dialog = dialog;
        dialog.addEventListener("close", () => this.#putBack());
        document.body.append(dialog);
        dialog.append(this.#editor);
        dialog.showModal();
        this.#onToggle(true);
    }

    #putBack() {
        this.#host.append(this.#editor);
        this.#dialog?.remove();
        this.#dialog = null;
        this.#onToggle(false);
    }
}
