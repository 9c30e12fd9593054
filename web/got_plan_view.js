/**
 * Shows on a node the plans that it has made. They are kept in the workflow, so that they are there again when it is
 * opened, and are no step of its undo.
 * @typedef {import("./comfyui/graph.js").GraphNode} GraphNode
 * @typedef {import("./comfyui/runs.js").Run} Run
 */

import { app } from "../../scripts/app.js";
import { keep } from "./comfyui/kept.js";
import { addElement, addStyle, chainCallback } from "./comfyui/node_element.js";
import { plansFrom, PROPERTY } from "./plan_view/saved.js";
import { PlanView } from "./plan_view/view.js";
import { bring, onRuns, STOPS, whenBrought } from "./comfyui/runs.js";

const NODES = new Set(["GoTChainFromBoxes", "GoTChainFromImage", "GoTChainFromText", "GoTConverse", "GoTPlan", "GoTReason"]);
const MIN_HEIGHT = 150;
const MIN_WIDTH = 340;

app.registerExtension({
    name: "GoT.PlanView",
    init() {
        addStyle(new URL("./plan_view/style.css", import.meta.url).href);
        onRuns((type, detail, run) => {
            if (run) takeUp(type, detail, run);
        });
    },
    /** @param {GraphNode} node */
    nodeCreated(node) {
        if (NODES.has(node.comfyClass)) addView(node);
    },
});

/** @param {GraphNode} node */
function addView(node) {
    const view = new PlanView();
    /** @type {string | null} */
    let writing = null;
    const draw = () => view.draw(plansFrom(node.properties[PROPERTY]), writing);

    addElement(node, "plan_view", view.element, MIN_HEIGHT, [MIN_WIDTH, node.computeSize()[1]]);
    whenBrought(node, ({ plans, written }) => {
        if (plans) node.properties[PROPERTY] = plans;
        if (written !== undefined) writing = written;
        draw();
    });
    chainCallback(node, "onConfigure", draw);
    draw();
}

/**
 * @param {string} type of an event
 * @param {any} detail
 * @param {Run} run
 */
function takeUp(type, detail, run) {
    const name = detail.display_node ?? detail.node;
    const made = Object.keys(run.prompt).filter((other) => NODES.has(run.prompt[other].class_type));
    if (STOPS.includes(type)) {
        for (const node of made) bring(run, node, { written: null });
    } else if (!made.includes(name)) {
        return;
    } else if (type === "got_text") {
        bring(run, name, { written: detail.text });
    } else if (type === "executed" && detail.output?.plans) {
        const plans = plansFrom(detail.output.plans);
        bring(run, name, { plans, written: null });
        keep(run.workflow, name, PROPERTY, plans);
    }
}
