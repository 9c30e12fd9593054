/**
 * Puts the chain editor on Edit Reasoning Chain, and takes it away with the node.
 * @typedef {import("./chain_editor/graph.js").GraphNode} GraphNode
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { drawsAfter, nodeAt, sourceOfInput, targetsOf } from "./chain_editor/graph.js";
import { ChainEditor } from "./chain_editor/widget.js";
import { addElement, addStyle, chainCallback, widgetOf } from "./node_element.js";

const NODE = "GoTEditChain";
const SAVED = "edited_chain";
const MODE = "when_upstream_changes";
const TAKE_NEW = "take new";
const MIN_HEIGHT = 440;
/** @type {[number, number]} */
const SIZE = [460, 680];

// What runs have brought, by graph and node, because ComfyUI's undo and its tabs make each node anew.
/** @typedef {{chain?: unknown, picture?: string}} Brought the incoming chain, the picture drawn */
/** @type {Map<string, Brought>} */
const lastRuns = new Map();

app.registerExtension({
    name: "GoT.ChainEditor",
    init() {
        addStyle(new URL("./chain_editor/style.css", import.meta.url).href);
    },
    /** @param {GraphNode} node */
    nodeCreated(node) {
        if (node.comfyClass === NODE) addEditor(node);
    },
});

/** @param {GraphNode} node */
function addEditor(node) {
    const saved = widgetOf(node, SAVED);
    const mode = widgetOf(node, MODE);
    const editor = new ChainEditor((value) => (saved.value = value), noteInGraphHistory);
    const listeners = new AbortController();

    saved.hidden = true;
    saved.computeSize = () => [0, -4];  // older frontends leave room for hidden widgets; 4 is the gap behind each
    addElement(node, "chain_editor", editor.element, MIN_HEIGHT, SIZE);

    const readWidgets = () => {
        editor.load(saved.value, mode.value === TAKE_NEW);
        lookAround();
    };
    const lookAround = () => {
        editor.setAspect(pictureAspect(node));
        editor.setPicture("reference", referenceUrl(node));
    };
    const key = () => `${node.graph?.id}:${node.id}`;
    /** @param {Brought} brought */
    const show = ({ chain, picture }) => {
        if (chain) editor.receive(chain);
        if (picture) editor.setPicture("generated", picture);
    };
    /** @param {Brought} brought */
    const keep = (brought) => {
        lastRuns.set(key(), { ...lastRuns.get(key()), ...brought });
        show(brought);
    };

    chainCallback(saved, "callback", readWidgets);
    chainCallback(mode, "callback", readWidgets);
    chainCallback(node, "onConnectionsChange", lookAround);
    chainCallback(node, "onConfigure", () => {
        show(lastRuns.get(key()) ?? {});
        readWidgets();
    });
    chainCallback(node, "onExecuted", (output) => {
        if (!output?.upstream_chain) return;
        keep({ chain: output.upstream_chain[0] });
        lookAround();
    });
    // Not before it is in the graph: ComfyUI makes nodes for its clipboard that never are, and are never removed.
    chainCallback(node, "onAdded", () => listen(listeners.signal));
    chainCallback(node, "onRemoved", () => {
        listeners.abort();
        editor.dispose();
    });

    /** @param {AbortSignal} signal */
    function listen(signal) {
        /** @type {(type: string, listener: (event: any) => void) => void} */
        const on = (type, listener) => api.addEventListener(type, listener, { signal });
        on("progress_text", ({ detail: { nodeId, text } }) => {
            const writer = sourceOfInput(node, "chain")?.node;
            if (writer && writer === nodeAt(rootGraph(), nodeId)) editor.stream(text);
        });
        for (const type of ["execution_success", "execution_error", "execution_interrupted", "reconnecting"]) {
            on(type, () => editor.stream(null));
        }
        on("executed", ({ detail }) => {
            const image = detail.output?.images?.at(-1);
            const from = image && nodeAt(rootGraph(), detail.display_node ?? detail.node);
            if (from && drawsAfter(from, node)) keep({ picture: viewUrl(image) });
        });
        // Other nodes do not tell when their widgets change.
        editor.element.addEventListener("pointerenter", lookAround, { signal });
    }
}

/** Makes what has changed a step of the graph's own undo, so that ComfyUI also knows that the workflow has changed. */
function noteInGraphHistory() {
    app.canvas?.emitBeforeChange();
    app.canvas?.emitAfterChange();
}

function rootGraph() {
    return app.rootGraph ?? app.graph;
}

/**
 * The aspect of the picture to be, from SSGM Encode; 0: not known.
 * @param {GraphNode} node
 */
function pictureAspect(node) {
    const encode = targetsOf(node, 0).find(({ type }) => type === "GoTSSGMEncode");
    const [width, height] = ["width", "height"].map((name) => (encode ? numberOf(encode, name) : 0));
    return width > 0 && height > 0 ? width / height : 0;
}

/**
 * A widget's number; 0: another node will give it.
 * @param {GraphNode} node
 * @param {string} name
 */
function numberOf(node, name) {
    return sourceOfInput(node, name) ? 0 : widgetOf(node, name)?.value;
}

/**
 * The picture that the plan is about: the one that GoT Reason or SSGM Encode gets from Load Image.
 * @param {GraphNode} node
 */
function referenceUrl(node) {
    const reason = sourceOfInput(node, "chain")?.node;
    const sources = [reason, ...targetsOf(node, 0)].flatMap((reader) =>
        ["image", "reference"].map((name) => reader && sourceOfInput(reader, name)?.node));
    const names = sources.map((source) => widgetOf(source, "image")?.value);
    const name = names.find((value) => typeof value === "string");
    if (!name) return "";
    const [, path, type = "input"] = /^(.*?)(?: \[(input|output|temp)\])?$/.exec(name) ?? [];
    const slash = path.lastIndexOf("/");
    return viewUrl({ filename: path.slice(slash + 1), subfolder: path.slice(0, Math.max(slash, 0)), type });
}

/** @param {{filename: string, subfolder?: string, type?: string}} file as the server names it */
function viewUrl({ filename, subfolder = "", type = "output" }) {
    return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}
