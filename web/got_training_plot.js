/**
 * Shows on GoT Train how its training goes: while it runs, and afterwards from the run's folder.
 * @typedef {import("./comfyui/graph.js").GraphNode} GraphNode
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { nodeAt } from "./comfyui/graph.js";
import { addElement, addStyle, chainCallback, widgetOf } from "./comfyui/node_element.js";
import { isOpen, onRuns } from "./comfyui/runs.js";
import { TrainingPlot } from "./training_plot/widget.js";

const NODE = "GoTTrain";
const EVENT = "got_training";
const MIN_HEIGHT = 420;
const SETTINGS_HEIGHT = 90;
/** @type {[number, number]} */
const SIZE = [420, 880];

/** @type {WeakMap<GraphNode, TrainingPlot>} */
const plots = new WeakMap();

app.registerExtension({
    name: "GoT.TrainingPlot",
    init() {
        addStyle(new URL("./training_plot/style.css", import.meta.url).href);
        onRuns((type, detail, run) => {
            if (type !== EVENT || (run && !isOpen(run))) return;  // its folder is read when its tab is opened
            const node = nodeAt(app.rootGraph ?? app.graph, detail.node);
            if (run || widgetOf(node, "name")?.value === detail.run) plots.get(node)?.show(detail);
        });
    },
    /** @param {GraphNode} node */
    nodeCreated(node) {
        if (node.comfyClass === NODE) addPlot(node);
    },
});

/** @param {GraphNode} node */
function addPlot(node) {
    const plot = new TrainingPlot(samplesUrl);
    const name = widgetOf(node, "name");
    plots.set(node, plot);
    addElement(node, "training_plot", plot.element, MIN_HEIGHT, SIZE);
    widgetOf(node, "settings").options.getMaxHeight = () => SETTINGS_HEIGHT;  // the plot gets what is left

    const showFromFolder = async () => {
        const asked = name.value;
        const encodable = String(asked).replace(/\p{Surrogate}/gu, "\ufffd");  // half characters, which no run's name has
        const answer = await api.fetchApi(`/got/training/${encodeURIComponent(encodable)}`);
        const report = answer.ok ? await answer.json() : {};
        if (name.value === asked) plot.show(report.run ? report : null);
    };
    chainCallback(name, "callback", showFromFolder);
    chainCallback(node, "onConfigure", showFromFolder);
    chainCallback(node, "onRemoved", () => plot.dispose());
}

/**
 * @param {string} run
 * @param {string} filename
 */
function samplesUrl(run, filename) {
    return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder: `got_training/${run}/samples`, type: "output" })}`);
}
