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
    return targetsFrom(node.graph, node.id, slot);
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
 * @param {unknown} origin the id of a node, or of the border of a subgraph
 * @param {number} slot
 * @returns {GraphNode[]}
 */
function targetsFrom(graph, origin, slot) {
    const links = linksOf(graph).filter((link) => same(link.origin_id, origin) && link.origin_slot === slot);
    return links.flatMap((link) => {
        if (same(link.target_id, SUBGRAPH_OUTPUT)) {
            const host = hostOf(graph);
            return host ? targetsOf(host, link.target_slot) : [];
        }
        const target = graph.getNodeById(link.target_id);
        if (!target) return [];
        if (target.subgraph) return targetsFrom(target.subgraph, SUBGRAPH_INPUT, link.target_slot);
        return target.type === "Reroute" ? targetsOf(target, 0) : [target];
    });
}

/**
 * @param {GraphNode} node
 * @param {number} slot
 * @returns {Source | null}
 */
function sourceOf(node, slot) {
    return sourceInto(node.graph, node.id, slot);
}

/**
 * @param {Graph} graph
 * @param {unknown} target the id of a node, or of the border of a subgraph
 * @param {number} slot
 * @returns {Source | null}
 */
function sourceInto(graph, target, slot) {
    const link = linksOf(graph).find((each) => same(each.target_id, target) && each.target_slot === slot);
    if (!link) return null;
    if (same(link.origin_id, SUBGRAPH_INPUT)) {
        const host = hostOf(graph);
        return host && sourceOf(host, link.origin_slot);
    }
    const node = graph.getNodeById(link.origin_id);
    if (!node) return null;
    if (node.subgraph) return sourceInto(node.subgraph, SUBGRAPH_OUTPUT, link.origin_slot);
    if (node.type === "Reroute") return sourceOf(node, 0);
    return { node, slot: link.origin_slot, type: link.type };
}

/**
 * The links of a graph, which all versions of ComfyUI tell alike; what a node's slots say of theirs is deprecated.
 * @param {Graph} graph
 * @returns {any[]}
 */
function linksOf(graph) {
    return [...(graph?.links.values() ?? [])];
}

/**
 * Whether two ids are the same: some versions write numbers, some text.
 * @param {unknown} first
 * @param {unknown} second
 */
function same(first, second) {
    return String(first) === String(second);
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
