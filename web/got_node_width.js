/** Makes new nodes wide enough for the longest name that ComfyUI gives a widget of theirs, which it would cut. */

import { app } from "../../scripts/app.js";
import { growTo, widgetOf } from "./comfyui/node_element.js";

const LONGEST = "control_after_generate";
const WIDTH = 285;

app.registerExtension({
    name: "GoT.NodeWidth",
    /** @param {import("./comfyui/graph.js").GraphNode} node */
    nodeCreated(node) {
        if (node.comfyClass?.startsWith("GoT") && widgetOf(node, LONGEST)) growTo(node, [WIDTH, 0]);
    },
});
