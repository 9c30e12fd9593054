/**
 * What a node keeps among its properties: it is saved with the workflow, there again when that is opened, and no step of
 * its undo.
 *
 * A workflow as ComfyUI saves it.
 * @typedef {any} Saved
 */

/**
 * Puts a property into a workflow as ComfyUI holds it: as it is now, and as it was before each step of undo, which is to
 * bring back no older one.
 * @param {any} workflow ComfyUI's own
 * @param {string} path the server's name of the node, such as 12:5
 * @param {string} property
 * @param {unknown} value
 */
export function keep({ changeTracker: tracker }, path, property, value) {
    if (!tracker?.activeState) return;
    const before = JSON.stringify(tracker.activeState);
    tracker.activeState = withProperty(tracker.activeState, path, property, value);
    for (const queue of [tracker.undoQueue, tracker.redoQueue]) {
        const states = queue.map((/** @type {Saved} */ state) => withProperty(state, path, property, value));
        queue.splice(0, queue.length, ...states);
    }
    if (JSON.stringify(tracker.activeState) !== before) tracker.updateModified();
}

/**
 * The same workflow with another property on one of its nodes.
 * @param {Saved} workflow
 * @param {string} path
 * @param {string} property
 * @param {unknown} value
 * @returns {Saved}
 */
export function withProperty(workflow, path, property, value) {
    const [id, ...hosts] = path.split(":").reverse();
    const subgraphs = workflow.definitions?.subgraphs ?? [];
    let graph = workflow;
    for (const host of hosts.reverse()) {
        const { type } = nodeIn(graph, host) ?? {};
        graph = subgraphs.find((/** @type {Saved} */ subgraph) => subgraph.id === type);
    }
    const node = nodeIn(graph, id);
    if (!node) return workflow;
    const properties = { ...node.properties, [property]: value };
    const changed = { ...graph, nodes: replaced(graph.nodes, node, { ...node, properties }) };
    if (graph === workflow) return changed;
    return { ...workflow, definitions: { ...workflow.definitions, subgraphs: replaced(subgraphs, graph, changed) } };
}

/**
 * @param {Saved} graph
 * @param {string} id
 */
function nodeIn(graph, id) {
    return graph?.nodes?.find((/** @type {Saved} */ node) => String(node.id) === id);
}

/**
 * @param {readonly Saved[]} list
 * @param {Saved} old
 * @param {Saved} other
 */
function replaced(list, old, other) {
    return list.map((entry) => (entry === old ? other : entry));
}
