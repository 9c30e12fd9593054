/** What a pointer does on the picture: it chooses a box, moves it, pulls at its handles, or draws a new one. */

import { boxBetween, HANDLES, hits, moved, resized, snap, toGrid } from "./geometry.js";

/**
 * @typedef {import("./controller.js").ChainEditor} ChainEditor
 * @typedef {import("./notation.js").Box} Box
 * @typedef {import("./geometry.js").Point} Point
 * @typedef {import("./geometry.js").Pull} Pull
 *
 * What the pointer is doing: moving a region, pulling at one, or drawing a new one.
 * @typedef {object} Drag
 * @property {Point} from where it began, on the grid
 * @property {Point} pressed where it began, on the screen
 * @property {string | null} color the region; null: a new one
 * @property {Box} box the region's box at the beginning
 * @property {Pull | null} pull null: all of it moves
 * @property {Box | null} result the box that it would get now
 */

const SNAP_REACH = 6;  // pixels
const CLICK_REACH = 3;
const NO_BOX = /** @type {const} */ ([0, 0, 0, 0]);

export class Pointer {
    /** @type {Drag | null} */
    #drag = null;
    #editor;

    /** @param {ChainEditor} editor */
    constructor(editor) {
        this.#editor = editor;
    }

    get #regions() {
        return this.#editor.model.chain?.regions ?? [];
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
        const under = hits(this.#regions, from);
        const selected = editor.model.region(editor.selected);
        const region = selected && (handle || under.includes(selected)) ? selected : under[0] ?? null;
        if (region) {
            editor.focusBox(region.color);
        } else {
            editor.select(null);
            editor.element.focus({ preventScroll: true });
        }
        this.#drag = {
            from,
            pressed: { x: event.clientX, y: event.clientY },
            color: region?.color ?? null,
            box: region?.box ?? NO_BOX,
            pull: handle ? HANDLES[handle] : null,
            result: null,
        };
        this.#svg.setPointerCapture(event.pointerId);
    }

    /** @param {PointerEvent} event */
    move(event) {
        const drag = this.#drag;
        if (!drag) return;
        const { boxes } = this.#editor.view;
        const far = Math.hypot(event.clientX - drag.pressed.x, event.clientY - drag.pressed.y) >= CLICK_REACH;
        if (!far && !drag.result) return;
        const to = this.#pointOnGrid(event);
        if (drag.color === null) {
            drag.result = boxBetween(drag.from, to);
            boxes.showDrawn(drag.result);
            return;
        }
        if (this.#editor.model.isLocked(drag.color)) {
            this.#end();
            this.#editor.say("This box is locked. Press L to unlock it.");
            return;
        }
        const { box, guides } = this.#dragged(drag, to, !event.altKey);
        drag.result = box;
        boxes.preview(drag.color, box, guides);
    }

    /** @param {PointerEvent} event */
    release(event) {
        const drag = this.#drag;
        if (!drag) return;
        const editor = this.#editor;
        this.#end();
        const { color, result } = drag;
        if (color && result) {
            editor.attempt(() => editor.model.move(color, result));
        } else if (result) {
            editor.add(result);
        } else if (!drag.pull) {
            const [smallest] = hits(this.#regions, this.#pointOnGrid(event));
            if (smallest) editor.focusBox(smallest.color);
        }
    }

    /** Gives up what is being dragged. */
    cancel() {
        if (!this.#drag) return;
        this.#end();
        this.#editor.draw();
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
    #dragged({ from, color, box, pull }, to, snapping) {
        /** @type {(right: number, down: number) => Box} */
        const by = (right, down) => (pull ? resized(box, pull, right, down) : moved(box, right, down));
        const [right, down] = [to.x - from.x, to.y - from.y];
        if (!snapping) return { box: by(right, down), guides: [] };
        const others = this.#regions.filter((region) => region.color !== color);
        const { width, height } = this.#svg.getBoundingClientRect();
        const reach = { x: (SNAP_REACH * 1000) / width, y: (SNAP_REACH * 1000) / height };
        const snapped = snap(by(right, down), pull, others.map((region) => region.box), reach);
        return { box: by(right + snapped.right, down + snapped.down), guides: snapped.guides };
    }

    /** @param {PointerEvent} event */
    #pointOnGrid(event) {
        return toGrid({ x: event.clientX, y: event.clientY }, this.#svg.getBoundingClientRect());
    }
}
