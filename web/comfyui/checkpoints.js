/** Which checkpoint a node works with, by the wires of the graph. */

import { sourceOfInput } from "./graph.js";
import { widgetOf } from "./node_element.js";

/**
 * @typedef {import("./graph.js").GraphNode} GraphNode
 *
 * A checkpoint by its name, and whether an adapter has changed it.
 * @typedef {{name: string, adapted: boolean}} Checkpoint
 */

const LOADER = "GoTModelLoader";
const ADAPTING = "GoTLoraLoader";

/**
 * @param {GraphNode} node with an input for a GOT_MODEL
 * @returns {Checkpoint | null} null: another node will give it
 */
export function checkpointOf(node) {
    let adapted = false;
    let source = sourceOfInput(node, "model")?.node;
    while (source?.comfyClass === ADAPTING) {
        adapted = true;
        source = sourceOfInput(source, "model")?.node;
    }
    const name = source?.comfyClass === LOADER ? widgetOf(source, "checkpoint")?.value : null;
    return typeof name === "string" ? { name, adapted } : null;
}
