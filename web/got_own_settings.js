/**
 * Shows beside the name of a widget whose value stands for the checkpoint's own setting which one that is, as in
 * "steps = 50". What is saved stays the widget's value.
 * @typedef {import("./comfyui/graph.js").GraphNode} GraphNode
 * @typedef {import("./own_settings.js").Settings} Settings
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { sourceOfInput } from "./comfyui/graph.js";
import { checkpointOf } from "./comfyui/checkpoints.js";
import { chainCallback } from "./comfyui/node_element.js";
import { hasOwnSettings, ownSetting } from "./own_settings.js";

/** @type {Set<GraphNode>} */
const nodes = new Set();
/** @type {Map<string, Promise<Settings | null>>} by the checkpoint's name */
const asked = new Map();
/** @type {WeakMap<object, string | undefined>} the label that each widget has by itself */
const labels = new WeakMap();

app.registerExtension({
    name: "GoT.OwnSettings",
    init() {
        api.addEventListener("graphChanged", () => {  // other nodes do not tell when their widgets change
            for (const node of nodes) label(node);
        });
    },
    /** @param {GraphNode} node */
    nodeCreated(node) {
        if (!hasOwnSettings(node.comfyClass)) return;
        nodes.add(node);
        for (const name of ["onConfigure", "onConnectionsChange"]) chainCallback(node, name, () => label(node));
        for (const widget of node.widgets) chainCallback(widget, "callback", () => label(node));
        chainCallback(node, "onRemoved", () => nodes.delete(node));
    },
    afterConfigureGraph() {
        for (const node of nodes) label(node);
    },
});

/** @param {GraphNode} node */
async function label(node) {
    const kind = node.comfyClass;
    const encoder = kind === "GoTSSGMEncode" ? node : sourceOfInput(node, "guidance")?.node;
    const reader = kind === "GoTGuider" ? encoder : node;
    const checkpoint = reader && checkpointOf(reader);
    const edited = encoder ? sourceOfInput(encoder, "reference") : sourceOfInput(node, "image");
    const settings = checkpoint ? await settingsOf(checkpoint.name) : null;
    /** @type {Record<string, unknown>} */
    const values = {};
    for (const widget of node.widgets ?? []) values[widget.name] = widget.value;
    for (const widget of node.widgets ?? []) {
        const own = ownSetting(kind, widget.name, widget.value, settings, edited ? "edit" : "generate", values);
        if (own === null && !labels.has(widget)) continue;
        if (!labels.has(widget)) labels.set(widget, widget.label);
        const plain = labels.get(widget);
        const name = plain ?? widget.localized_name ?? widget.name;
        widget.label = own === null ? plain : `${name} = ${own}`;
    }
    node.setDirtyCanvas?.(true, true);
}

/**
 * @param {string} name
 * @returns {Promise<Settings | null>}
 */
function settingsOf(name) {
    let answer = asked.get(name);
    if (!answer) {
        answer = ask(name);
        asked.set(name, answer);
    }
    return answer;
}

/** @param {string} name */
async function ask(name) {
    const answer = await api.fetchApi(`/got/own_settings?${new URLSearchParams({ checkpoint: name })}`).catch(() => null);
    return answer?.ok ? await answer.json() : null;
}
