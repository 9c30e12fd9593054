/** Shows on a node what it says of its work, as text and nothing else. */

import { app } from "../../scripts/app.js";
import { inLanguage } from "./comfyui/language.js";
import { addElement, addStyle, growTo } from "./comfyui/node_element.js";
import { notesFrom } from "./plan_view/saved.js";
import { bring, onRuns, whenBrought } from "./comfyui/runs.js";

const NODES = new Set([
    "GoTAnnotate",
    "GoTChainToJSON",
    "GoTChainToMasks",
    "GoTCheck",
    "GoTImportCheckpoint",
    "GoTLookAgain",
    "GoTPickBest",
    "GoTRegionalConditioning",
    "GoTSSGMEncode",
    "GoTSampler",
]);
const EVENT = "got_text";
const [MIN_HEIGHT, MAX_HEIGHT] = [30, 150];
const MARGIN = 20;  // of elements on a node's left and right together

app.registerExtension({
    name: "GoT.NodeText",
    init() {
        addStyle(new URL("./node_text.css", import.meta.url).href);
        onRuns((type, { node, display_node: shown = node, text, output }, run) => {
            if (!run) return;
            if (type === EVENT) bring(run, node, { text, whole: false });
            if (type === "executed" && output?.notes) bring(run, shown, { text: said(output.notes), whole: true });
        });
    },
    /** @param {import("./comfyui/graph.js").GraphNode} node */
    nodeCreated(node) {
        if (!NODES.has(node.comfyClass)) return;
        /** @type {HTMLElement | undefined} */
        let element;
        let height = MIN_HEIGHT;
        whenBrought(node, ({ text, whole }) => {
            if (text === undefined || !(text || element)) return;
            element ??= addText(node, () => height);
            element.hidden = !text;
            element.textContent = text;
            height = heightOf(element, node.size[0] - MARGIN);
            element.style.setProperty("--got-height", `${height}px`);
            element.scrollTop = whole ? 0 : element.scrollHeight;
            growTo(node, node.computeSize());
        });
    },
});

/** @param {unknown} notes */
function said(notes) {
    return notesFrom(notes).map(inLanguage).join("\n");
}

/**
 * @param {import("./comfyui/graph.js").GraphNode} node
 * @param {() => number} minHeight
 */
function addText(node, minHeight) {
    const element = document.createElement("div");
    element.className = "got-node-text";
    element.dataset.testid = "got-node-text";
    element.dataset.captureWheel = "true";
    addElement(node, "node_text", element, minHeight, node.size);
    return element;
}

/**
 * The height that the text of an element takes at a width, within limits: more is scrolled.
 * @param {HTMLElement} element
 * @param {number} width
 */
function heightOf(element, width) {
    const copy = /** @type {HTMLElement} */ (element.cloneNode(true));
    copy.style.cssText = `position: absolute; visibility: hidden; contain: none; height: auto; width: ${width}px;`;
    document.body.append(copy);
    const { height } = copy.getBoundingClientRect();
    copy.remove();
    return Math.min(Math.max(Math.ceil(height), MIN_HEIGHT), MAX_HEIGHT);
}
