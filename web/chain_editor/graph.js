/** Questions to ComfyUI's graph, seen through reroutes and the borders of subgraphs. */

/**
 * Nodes, graphs and links are ComfyUI's own, which come without types.
 * @typedef {any} GraphNode
 * @typedef {any} Graph
 *
 * The output that feeds an input, and the type of what passes.
 * @typedef {{node: GraphNode, slot: number, type: string}} Source
 */

const SUBGRAPH_INPUT = -10;
const SUBGRAPH_OUTPUT = -20;

/**
 * @param {GraphNode} node
 * @param {string} name
 * @returns {Source | null}
 */
export function sourceOfInput(node, name) {
    return sourceOf(node, node.inputs?.findIndex((/** @type {any} */ input) => input.name === name));
}

/**
 * The nodes that an output is connected to.
 * @param {GraphNode} node
 * @param {number} slot
 * @returns {GraphNode[]}
 */
export function targetsOf(node, slot) {
    return targetsOfLinks(node.graph, node.outputs?.[slot]?.links);
}

/**
 * The node that the server calls `12:5`: node 5 in the subgraph that is node 12.
 * @param {Graph} root
 * @param {unknown} identity
 * @returns {GraphNode | null}
 */
export function nodeAt(root, identity) {
    return String(identity).split(":").reduce(
        (/** @type {GraphNode} */ host, part) => (host?.subgraph ?? host)?.getNodeById?.(part) ?? null, root,
    );
}

/**
 * @param {Graph} graph
 * @param {Iterable<unknown> | null | undefined} linkIds
 * @returns {GraphNode[]}
 */
function targetsOfLinks(graph, linkIds) {
    return [...(linkIds ?? [])].flatMap((linkId) => {
        const link = graph?.getLink(linkId);
        if (!link) return [];
        if (Number(link.target_id) === SUBGRAPH_OUTPUT) {
            const host = hostOf(graph);
            return host ? targetsOf(host, link.target_slot) : [];
        }
        const target = graph.getNodeById(link.target_id);
        if (!target) return [];
        if (target.subgraph) return targetsOfLinks(target.subgraph, target.subgraph.inputs[link.target_slot]?.linkIds);
        if (target.type === "Reroute") return targetsOf(target, 0);
        return [target];
    });
}

/**
 * @param {GraphNode} node
 * @param {number} slot
 * @returns {Source | null}
 */
function sourceOf(node, slot) {
    return originOf(node.graph, node.inputs?.[slot]?.link);
}

/**
 * @param {Graph} graph
 * @param {unknown} linkId
 * @returns {Source | null}
 */
function originOf(graph, linkId) {
    const link = linkId == null ? null : graph?.getLink(linkId);
    if (!link) return null;
    if (Number(link.origin_id) === SUBGRAPH_INPUT) {
        const host = hostOf(graph);
        return host && sourceOf(host, link.origin_slot);
    }
    const node = graph.getNodeById(link.origin_id);
    if (!node) return null;
    if (node.subgraph) return originOf(node.subgraph, node.subgraph.outputs[link.origin_slot]?.linkIds[0]);
    if (node.type === "Reroute") return sourceOf(node, 0);
    return { node, slot: link.origin_slot, type: link.type };
}

/**
 * The node that a subgraph is in the graph around it.
 * @param {Graph} subgraph
 * @returns {GraphNode | null}
 */
function hostOf(subgraph) {
    const root = subgraph.rootGraph;
    for (const graph of [root, ...(root?.subgraphs?.values() ?? [])]) {
        const host = graph?.nodes.find((/** @type {GraphNode} */ node) => node.subgraph === subgraph);
        if (host) return host;
    }
    return null;
}
