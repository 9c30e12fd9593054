/** What a pointer does on the picture: it chooses a box, moves it, pulls at its handles, or draws a new one. */

import { texts } from "../comfyui/language.js";
import { span } from "./alignment.js";
import { boxBetween, enclosed, HANDLES, hits, moved, resized, snap, toGrid } from "./geometry.js";

/**
 * @typedef {import("./controller.js").ChainEditor} ChainEditor
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./geometry.js").Guide} Guide
 * @typedef {import("./geometry.js").Point} Point
 * @typedef {import("./geometry.js").Pull} Pull
 *
 * What the pointer is doing: moving regions, pulling at one, drawing a new one, or choosing all that it encloses.
 * @typedef {object} Drag
 * @property {Point} from where it began, on the grid
 * @property {Point} pressed where it began, on the screen
 * @property {ReadonlyMap<string, Box>} boxes of the regions, as they were; empty: a rectangle is drawn
 * @property {Pull | null} pull null: all of a region moves
 * @property {boolean} choosing whether the drawn rectangle chooses, and is no new box
 * @property {Box | null} drawn
 * @property {ReadonlyMap<string, Box> | null} result the boxes that the regions would get now
 */

const SNAP_REACH = 6;  // pixels
const CLICK_REACH = 3;

export class Pointer {
    /** @type {Drag | null} */
    #drag = null;
    #editor;

    /** @param {ChainEditor} editor */
    constructor(editor) {
        this.#editor = editor;
    }

    get #regions() {
        return this.#editor.model.chain.regions;
    }

    get #svg() {
        return this.#editor.view.boxes.svg;
    }

    /** @param {PointerEvent} event */
    press(event) {
        const editor = this.#editor;
        if (event.button !== 0 || !editor.model.editable) return;
        const from = this.#pointOnGrid(event);
        const handle = /** @type {Element} */ (event.target).getAttribute("data-handle");
        const under = this.under(event);
        const region = under.find(({ color }) => editor.selected.includes(color)) ?? under[0] ?? null;
        const pulled = handle ? editor.model.region(editor.selected[0]) : region;
        if (event.shiftKey && region && !handle) return editor.toggle(region.color);
        if (pulled && !editor.selected.includes(pulled.color)) editor.select([pulled.color]);
        if (!pulled && !event.shiftKey) editor.select([]);
        editor.focus(pulled?.color);
        this.#drag = {
            from,
            pressed: { x: event.clientX, y: event.clientY },
            boxes: editor.model.boxesOf(pulled ? editor.selected : []),
            pull: handle ? HANDLES[handle] : null,
            choosing: event.shiftKey,
            drawn: null,
            result: null,
        };
        this.#svg.setPointerCapture(event.pointerId);
    }

    /** @param {PointerEvent} event */
    move(event) {
        const drag = this.#drag;
        if (!drag) return;
        const { model, view: { boxes } } = this.#editor;
        const far = Math.hypot(event.clientX - drag.pressed.x, event.clientY - drag.pressed.y) >= CLICK_REACH;
        if (!far && !drag.result && !drag.drawn) return;
        const to = this.#pointOnGrid(event);
        if (drag.boxes.size === 0) {
            drag.drawn = boxBetween(drag.from, to);
            boxes.showDrawn(drag.drawn);
        } else if ([...drag.boxes.keys()].some((color) => model.isLocked(color))) {
            this.#end();
            this.#editor.say(texts().editor.locked);
        } else {
            const { result, guides } = this.#dragged(drag, to, !event.altKey);
            drag.result = result;
            boxes.preview(result, guides);
        }
    }

    /** @param {PointerEvent} event */
    release(event) {
        const drag = this.#drag;
        if (!drag) return;
        const editor = this.#editor;
        this.#end();
        const { drawn, result } = drag;
        if (result) {
            editor.attempt(() => editor.model.place(result));
        } else if (drawn && drag.choosing) {
            editor.select(enclosed(this.#regions, drawn).map(({ color }) => color));
        } else if (drawn) {
            editor.add(drawn);
        } else if (!drag.pull) {
            const [first] = this.under(event);
            if (first) editor.focusBox(first.color);
        }
    }

    /**
     * The regions under the pointer, the one that it means first.
     * @param {MouseEvent} event
     */
    under(event) {
        return hits(this.#regions, this.#pointOnGrid(event), (region) => this.#editor.model.level(region));
    }

    /** Gives up what is being dragged, and says whether anything was. */
    cancel() {
        if (!this.#drag) return false;
        this.#end();
        this.#editor.draw();
        return true;
    }

    #end() {
        this.#drag = null;
        this.#editor.view.boxes.showDrawn(null);
        this.#editor.view.boxes.showGuides([]);
    }

    /**
     * @param {Drag} drag
     * @param {Point} to
     * @param {boolean} snapping
     */
    #dragged({ from, boxes, pull }, to, snapping) {
        const whole = span([...boxes.values()]);
        /** @type {(right: number, down: number) => Box} */
        const by = (right, down) => (pull ? resized(whole, pull, right, down) : moved(whole, right, down));
        let [right, down] = [to.x - from.x, to.y - from.y];
        /** @type {readonly Guide[]} */
        let guides = [];
        if (snapping) {
            const others = this.#regions.filter((region) => !boxes.has(region.color));
            const { width, height } = this.#svg.getBoundingClientRect();
            const reach = { x: (SNAP_REACH * 1000) / width, y: (SNAP_REACH * 1000) / height };
            const snapped = snap(by(right, down), pull, others.map((region) => region.box), reach);
            [right, down, guides] = [right + snapped.right, down + snapped.down, snapped.guides];
        }
        const now = by(right, down);
        const [dx, dy] = [now[0] - whole[0], now[1] - whole[1]];
        const result = new Map([...boxes].map(([color, box]) => [color, pull ? now : moved(box, dx, dy)]));
        return { result, guides };
    }

    /** @param {MouseEvent} event */
    #pointOnGrid(event) {
        return toGrid({ x: event.clientX, y: event.clientY }, this.#svg.getBoundingClientRect());
    }
}
