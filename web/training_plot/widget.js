/** What a training shows of itself: how far it is, its curves, and the newest samples. */

import { texts } from "../comfyui/language.js";
import { CURVES, drawPlot } from "./plot.js";
import { statusText } from "./status.js";

/**
 * As the server sends it.
 * @typedef {object} Report
 * @property {string} run the training's name
 * @property {string} state "training", "done", "stopped", or what it does before
 * @property {number} step how many steps are done
 * @property {number} steps of the whole training
 * @property {number | null} seconds_per_step
 * @property {import("./plot.js").Curves} curves
 * @property {string | null} samples the file
 */

export class TrainingPlot {
    /** @type {Report | null} */
    #report = null;
    #say = texts().training;
    #canvas = document.createElement("canvas");
    #status = document.createElement("div");
    #legend = document.createElement("div");
    #samples = document.createElement("img");
    #resizes = new ResizeObserver(() => this.#draw());

    /** @param {(run: string, file: string) => string} samplesUrl */
    constructor(samplesUrl) {
        this.samplesUrl = samplesUrl;
        this.element = document.createElement("div");
        this.element.className = "got-training-plot";
        this.element.dataset.testid = "got-training-plot";
        this.#status.className = "got-training-status";
        this.#legend.className = "got-training-legend";
        this.#canvas.setAttribute("role", "img");
        this.#samples.alt = this.#say.samples;
        this.#samples.draggable = false;
        this.element.append(this.#status, this.#legend, this.#canvas, this.#samples);
        this.#samples.addEventListener("load", () => (this.#samples.hidden = false));
        this.#samples.addEventListener("error", () => (this.#samples.hidden = true));
        this.#resizes.observe(this.#canvas);
        this.show(null);
    }

    /** @param {Report | null} report null: there is none */
    show(report) {
        this.#report = report;
        this.#status.textContent = report ? statusText(report, this.#say) : this.#say.empty;
        this.element.dataset.state = report?.state ?? "";
        this.#legend.replaceChildren(...Object.entries(CURVES).map(([name, { text, color }]) => {
            const label = this.#say[text];
            const last = report?.curves[/** @type {keyof typeof CURVES} */ (name)].at(-1);
            const entry = document.createElement("span");
            entry.style.setProperty("--got-color", color);
            entry.textContent = last ? `${label} ${last[1].toFixed(3)}` : label;
            return entry;
        }));
        this.#canvas.setAttribute("aria-label", this.#legend.innerText);
        this.#canvas.hidden = !report;
        this.#showSamples(report);
        this.#draw();
    }

    dispose() {
        this.#resizes.disconnect();
        this.element.remove();
    }

    /** @param {Report | null} report */
    #showSamples(report) {
        const url = report?.samples ? this.samplesUrl(report.run, report.samples) : "";
        if (!url) this.#samples.hidden = true;
        if (url === (this.#samples.getAttribute("src") ?? "")) return;
        if (url) this.#samples.src = url;
        else this.#samples.removeAttribute("src");
    }

    #draw() {
        if (this.#report) drawPlot(this.#canvas, this.#report.curves, this.#report.steps);
    }
}
