/**
 * Plans in a workflow: a node keeps the plans that it shows among its properties. A workflow may come from anybody.
 *
 * What is to be said about a plan, by language; English is always there.
 * @typedef {Record<string, string>} Note
 *
 * @typedef {{text: string, notes: readonly Note[]}} Plan
 *
 * A workflow as ComfyUI saves it.
 * @typedef {any} Saved
 */

export const PROPERTY = "got_plans";
const MOST = 64;  // plans, and notes on each
const LONGEST = 1_000_000;  // characters, as of a chain's file

/**
 * @param {unknown} value of the property, or as a server sends it
 * @returns {Plan[]} what is a plan there
 */
export function plansFrom(value) {
    if (!Array.isArray(value)) return [];
    return value.slice(0, MOST).filter((plan) => isText(plan?.text)).map(({ text, notes }) => ({
        text,
        notes: notesFrom(notes),
    }));
}

/**
 * @param {unknown} value
 * @returns {Note[]} what is a note there
 */
export function notesFrom(value) {
    if (!Array.isArray(value)) return [];
    return value.slice(0, MOST).filter((note) => isText(note?.en)).map(noteFrom);
}

/**
 * The same workflow with other plans on one of its nodes.
 * @param {Saved} workflow
 * @param {string} path the server's name of the node, such as 12:5
 * @param {readonly Plan[]} plans
 * @returns {Saved}
 */
export function withPlans(workflow, path, plans) {
    const [id, ...hosts] = path.split(":").reverse();
    const subgraphs = workflow.definitions?.subgraphs ?? [];
    let graph = workflow;
    for (const host of hosts.reverse()) {
        const { type } = nodeIn(graph, host) ?? {};
        graph = subgraphs.find((/** @type {Saved} */ subgraph) => subgraph.id === type);
    }
    const node = nodeIn(graph, id);
    if (!node) return workflow;
    const properties = { ...node.properties, [PROPERTY]: plans };
    const changed = { ...graph, nodes: replaced(graph.nodes, node, { ...node, properties }) };
    if (graph === workflow) return changed;
    return { ...workflow, definitions: { ...workflow.definitions, subgraphs: replaced(subgraphs, graph, changed) } };
}

/** @param {unknown} value */
function isText(value) {
    return typeof value === "string" && value.length <= LONGEST;
}

/** @param {Record<string, unknown>} note */
function noteFrom(note) {
    return /** @type {Note} */ (Object.fromEntries(Object.entries(note).filter(([, text]) => isText(text))));
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
