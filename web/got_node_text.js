/** Shows on a node what it says of its work, as text and nothing else. */

import { app } from "../../scripts/app.js";
import { inLanguage } from "./comfyui/language.js";
import { addElement, addStyle, growTo } from "./comfyui/node_element.js";
import { notesFrom } from "./plan_view/saved.js";
import { bring, onRuns, whenBrought } from "./comfyui/runs.js";

const NODES = new Set([
    "GoTAnnotate",
    "GoTCheck",
    "GoTImportCheckpoint",
    "GoTLookAgain",
    "GoTPickBest",
    "GoTRegionalConditioning",
    "GoTSSGMEncode",
    "GoTSampler",
]);
const EVENT = "got_text";
const MIN_HEIGHT = 72;

app.registerExtension({
    name: "GoT.NodeText",
    init() {
        addStyle(new URL("./node_text.css", import.meta.url).href);
        onRuns((type, { node, display_node: shown = node, text, output }, run) => {
            if (!run) return;
            if (type === EVENT) bring(run, node, { text });
            if (type === "executed" && output?.notes) bring(run, shown, { text: notesFrom(output.notes).map(inLanguage).join("\n") });
        });
    },
    /** @param {import("./comfyui/graph.js").GraphNode} node */
    nodeCreated(node) {
        if (!NODES.has(node.comfyClass)) return;
        /** @type {HTMLElement | undefined} */
        let element;
        whenBrought(node, ({ text }) => {
            if (text === undefined || !(text || element)) return;
            element ??= addText(node);
            element.hidden = !text;
            element.textContent = text;
            element.scrollTop = element.scrollHeight;
        });
    },
});

/** @param {import("./comfyui/graph.js").GraphNode} node */
function addText(node) {
    const element = document.createElement("div");
    element.className = "got-node-text";
    element.dataset.testid = "got-node-text";
    element.dataset.captureWheel = "true";
    addElement(node, "node_text", element, MIN_HEIGHT, node.size);
    growTo(node, node.computeSize());
    return element;
}
