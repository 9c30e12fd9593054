/**
 * What runs bring, each to the workflow that has queued it. ComfyUI itself names only nodes, by numbers that all tabs
 * opened from one template share, and tells the tab that happens to be open.
 * @typedef {import("./graph.js").GraphNode} GraphNode
 * @typedef {import("./prompt.js").Prompt} Prompt
 *
 * @typedef {object} Run
 * @property {any} workflow of this page, ComfyUI's own
 * @property {Prompt} prompt
 *
 * What has come for one node.
 * @typedef {object} Brought
 * @property {string} [text] what it says of its work
 * @property {boolean} [whole] whether that is read from its beginning: its last lines are not the news
 * @property {string | null} [written] what the model has written so far, here or upstream; null: it writes no more
 * @property {readonly import("../plan_view/saved.js").Plan[]} [plans] those that it has made
 * @property {unknown} [chain] the incoming one
 * @property {readonly unknown[]} [variants] plans of one prompt, the incoming one among them
 * @property {string} [picture] the address of the one that was drawn
 * @property {string} [reviewed] the folder of the dataset that is reviewed
 */

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { nodeAt } from "./graph.js";

const EVENTS = ["executed", "got_text", "got_training"];
const ENDS = ["execution_success", "execution_error", "execution_interrupted"];
/** Nothing more comes from a run, or it is not known whether anything will: the server may have been restarted. */
export const STOPS = [...ENDS, "reconnecting"];

/** @type {Map<string, Run>} by the id that the server gives a prompt */
const runs = new Map();
/** @type {Set<Promise<unknown>>} requests for runs that have no id yet, though the server may already tell of them */
const requests = new Set();
/** @type {((type: string, detail: any, run: Run | null) => void)[]} */
const listeners = [];
/** @type {WeakMap<object, Map<string, Brought>>} by workflow, then by the server's name of a node */
const remembered = new WeakMap();
/** @type {WeakMap<GraphNode, (brought: Brought) => void>} */
const shows = new WeakMap();
/** Whether nodes of another workflow may be there already, though it is not yet the open one. */
let loading = false;

const queuePrompt = api.queuePrompt;
api.queuePrompt = async (/** @type {number} */ number, /** @type {any} */ data, /** @type {any[]} */ ...options) => {
    const run = { workflow: openWorkflow(), prompt: data.output };
    const request = queuePrompt.call(api, number, data, ...options);
    requests.add(request);
    try {
        const answer = await request;
        runs.set(answer.prompt_id, run);
        return answer;
    } finally {
        requests.delete(request);
    }
};

for (const type of [...EVENTS, ...ENDS]) {
    api.addEventListener(type, async (/** @type {any} */ { detail }) => {
        if (!runs.has(detail.prompt_id)) await Promise.allSettled(requests);
        const run = runs.get(detail.prompt_id) ?? null;
        for (const listener of listeners) listener(type, detail, run);
        if (ENDS.includes(type)) runs.delete(detail.prompt_id);
    });
}
api.addEventListener("reconnecting", () => {
    for (const run of runs.values()) {
        for (const listener of listeners) listener("reconnecting", {}, run);
    }
});

app.registerExtension({
    name: "GoT.Runs",
    setup() {
        app.extensionManager.workflow.$onAction((/** @type {any} */ { name, after }) => {
            if (name === "openWorkflow") after(showRemembered);
        });
    },
    beforeConfigureGraph() {
        loading = true;
    },
});

/**
 * @param {(type: string, detail: any, run: Run | null) => void} listener is told of what happens in runs; in those of
 * which this page does not know who has queued them, such as from before it was reloaded, with null
 */
export function onRuns(listener) {
    listeners.push(listener);
}

/**
 * Gives a node of the workflow that a run belongs to what has come for it: now if that is the open one, and whenever
 * ComfyUI makes the node anew, as its tabs and its undo do.
 * @param {Run} run
 * @param {string} id of the node, as the server has it
 * @param {Brought} brought
 */
export function bring(run, id, brought) {
    const nodes = remembered.get(run.workflow) ?? new Map();
    remembered.set(run.workflow, nodes.set(id, { ...nodes.get(id), ...brought }));
    if (isOpen(run)) showOn(id, brought);
}

/** @param {Run} run */
export function isOpen({ workflow }) {
    return !loading && workflow === openWorkflow();
}

/**
 * @param {GraphNode} node
 * @param {(brought: Brought) => void} show
 */
export function whenBrought(node, show) {
    shows.set(node, show);
}

function showRemembered() {
    loading = false;
    for (const [id, brought] of remembered.get(openWorkflow()) ?? []) showOn(id, brought);
}

/**
 * @param {string} id
 * @param {Brought} brought
 */
function showOn(id, brought) {
    const node = nodeAt(app.rootGraph ?? app.graph, id);
    if (node) shows.get(node)?.(brought);
}

/** @returns {object} */
function openWorkflow() {
    return app.extensionManager.workflow.activeWorkflow;
}
