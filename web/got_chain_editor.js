/**
 * Puts the chain editor on Edit Reasoning Chain, and takes it away with the node.
 * @typedef {import("./chain_editor/chain.js").Chain} Chain
 * @typedef {import("./comfyui/graph.js").GraphNode} GraphNode
 * @typedef {import("./comfyui/runs.js").Run} Run
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { ask } from "./comfyui/ask.js";
import { sourceOfInput, targetsOf } from "./comfyui/graph.js";
import { ChainEditor } from "./chain_editor/controller.js";
import { checkpointOf } from "./comfyui/checkpoints.js";
import { keep } from "./comfyui/kept.js";
import { inLanguage, texts } from "./comfyui/language.js";
import { addElement, addStyle, chainCallback, widgetOf } from "./comfyui/node_element.js";
import { PlanCheck } from "./plan_check.js";
import { drawsAfter, sourceIn } from "./comfyui/prompt.js";
import { bring, onRuns, STOPS, whenBrought } from "./comfyui/runs.js";

const NODE = "GoTEditChain";
const SAVED = "edited_chain";
const MODE = "when_upstream_changes";
const TAKE_NEW = "take new";
const REASON = "GoTReason";
const LOCKED = "locked_objects";
const RUNS = 0;  // a node's mode: neither muted nor bypassed
/** A property of the node, so that it is saved without a widget: false where the prompt is not to follow the plan. */
const FOLLOWS = "prompt follows the plan";
/** Another one: the plans to choose from. */
const VARIANTS = "got_variants";
const MIN_HEIGHT = 480;
/** @type {[number, number]} */
const SIZE = [460, 780];

app.registerExtension({
    name: "GoT.ChainEditor",
    init() {
        addStyle(new URL("./chain_editor/style.css", import.meta.url).href);
        onRuns((type, detail, run) => {
            const editors = Object.keys(run?.prompt ?? {}).filter((name) => run?.prompt[name].class_type === NODE);
            for (const name of editors) takeUp(type, detail, /** @type {Run} */ (run), name);
        });
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
    const editor = new ChainEditor({
        edited: (value) => (saved.value = value),
        stepped: noteInGraphHistory,
        followed: (follows) => {
            node.setProperty(FOLLOWS, follows);
            noteInGraphHistory();
        },
        drawn: () => check.ask(settledChain(editor), checkpointAround(node)),
        replanned: (locked) => planAround(node, locked),
        pasted: (question) => ask("/got/pasted_plan", JSON.stringify(question)),
    });
    const check = new PlanCheck((notes) => editor.view.remark(notes.map(inLanguage)));

    saved.hidden = saved.options.hidden = true;  // the canvas and Nodes 2.0 each have their own
    saved.computeSize = () => [0, -4];  // older frontends leave room for hidden widgets; 4 is the gap behind each
    addElement(node, "chain_editor", editor.element, MIN_HEIGHT, SIZE);

    const readWidgets = () => {
        editor.load(saved.value, mode.value === TAKE_NEW, node.properties[FOLLOWS] !== false);
        lookAround();
    };
    const lookAround = () => {
        editor.surround(sourceOfInput(node, "chain") !== null, taskAround(node), reasonOf(node) !== null);
        editor.setAspect(pictureAspect(node));
        editor.setPicture("reference", referenceUrl(node));
    };
    whenBrought(node, ({ chain, variants, picture, written }) => {
        if (chain) editor.receive(chain);
        if (variants) {
            node.properties[VARIANTS] = variants;
            editor.offer(variants);
        }
        if (picture) editor.setPicture("generated", picture);
        if (written !== undefined) editor.stream(written);
        lookAround();
    });

    chainCallback(saved, "callback", readWidgets);
    chainCallback(mode, "callback", readWidgets);
    chainCallback(node, "onConnectionsChange", lookAround);
    chainCallback(node, "onConfigure", () => {
        readWidgets();
        editor.offer(node.properties[VARIANTS]);
    });
    chainCallback(node, "onRemoved", () => {
        editor.dispose();
        check.dispose();
    });
    editor.element.addEventListener("pointerenter", () => {  // other nodes do not tell when they change
        lookAround();
        editor.model.followTask();
        check.ask(settledChain(editor), checkpointAround(node));
    });
}

/**
 * @param {ChainEditor} editor
 * @returns {Chain | null} null: there is none, or it is being written
 */
function settledChain({ model }) {
    return model.blank || model.streamed !== null || model.draft ? null : model.chain;
}

/**
 * The checkpoint that is to draw the plan, or else the one that made it; null: what it knows is not known.
 * @param {GraphNode} node
 */
function checkpointAround(node) {
    const readers = [...targetsOf(node, 0), sourceOfInput(node, "chain")?.node];
    const checkpoint = readers.map((reader) => reader && checkpointOf(reader)).find(Boolean);
    return checkpoint && !checkpoint.adapted ? checkpoint.name : null;
}

/**
 * What an event of a run brings one editor of its workflow.
 * @param {string} type
 * @param {any} detail
 * @param {Run} run
 * @param {string} name of the editor's node in the prompt
 */
function takeUp(type, detail, run, name) {
    const from = detail.display_node ?? detail.node;
    const image = detail.output?.images?.at(-1);
    if (STOPS.includes(type)) {
        bring(run, name, { written: null });
    } else if (type === "got_text" && from === sourceIn(run.prompt, name, "chain")) {
        bring(run, name, { written: detail.text });
    } else if (type === "executed" && from === sourceIn(run.prompt, name, "chain")) {
        const variants = detail.output?.variants ?? [];
        bring(run, name, { variants });
        keep(run.workflow, name, VARIANTS, variants);
    } else if (type === "executed" && from === name && detail.output?.upstream_chain) {
        bring(run, name, { chain: detail.output.upstream_chain[0], written: null });
    } else if (type === "executed" && image && drawsAfter(run.prompt, from, name, outputType)) {
        bring(run, name, { picture: viewUrl(image) });
    }
}

/**
 * @param {string} kind of node
 * @param {number} slot
 * @returns {string | undefined}
 */
function outputType(kind, slot) {
    return LiteGraph.registered_node_types[kind]?.nodeData?.output[slot];
}

/**
 * GoT Reason before an editor, if it takes part in runs and can be told what to plan around.
 * @param {GraphNode} node
 * @returns {GraphNode | null}
 */
function reasonOf(node) {
    const reason = sourceOfInput(node, "chain")?.node;
    const told = reason?.comfyClass === REASON && reason.mode === RUNS && widgetOf(reason, LOCKED);
    return told && !sourceOfInput(reason, LOCKED) ? reason : null;
}

/**
 * Tells GoT Reason what to plan around. With the same as before only another seed gives another plan.
 * @param {GraphNode} node
 * @param {string} locked
 * @returns {string} what the artist should know
 */
function planAround(node, locked) {
    const reason = reasonOf(node);
    if (!reason) return texts().bar.noReason;
    const [told, seed, temperature] = [LOCKED, "seed", "temperature"].map((name) => widgetOf(reason, name));
    const again = told.value === locked;
    told.value = locked;
    if (again && temperature?.value > 0 && !sourceOfInput(reason, "seed")) seed.value += 1;
    reason.setDirtyCanvas?.(true, true);
    noteInGraphHistory();
    return again && !(temperature?.value > 0) ? texts().bar.samePlan : "";
}

/** Makes what has changed a step of the graph's own undo, so that ComfyUI also knows that the workflow has changed. */
function noteInGraphHistory() {
    app.canvas?.emitBeforeChange();
    app.canvas?.emitAfterChange();
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
 * What a plan must be for here: to edit, where a picture is connected to a node beside the editor.
 * @param {GraphNode} node
 */
function taskAround(node) {
    return pictureSources(node).length ? "edit" : "generate";
}

/**
 * The nodes that give GoT Reason or SSGM Encode the picture that the plan is about.
 * @param {GraphNode} node
 * @returns {GraphNode[]}
 */
function pictureSources(node) {
    const readers = [sourceOfInput(node, "chain")?.node, ...targetsOf(node, 0)].filter(Boolean);
    return readers.flatMap((reader) => ["image", "reference"].flatMap((name) => sourceOfInput(reader, name)?.node ?? []));
}

/**
 * The picture that the plan is about, if it is a file that Load Image shows.
 * @param {GraphNode} node
 */
function referenceUrl(node) {
    const names = pictureSources(node).map((source) => widgetOf(source, "image")?.value);
    const name = names.find((value) => typeof value === "string");
    if (!name) return "";
    const [, path, type = "input"] = /^(.*?)(?: \[(input|output|temp)\])?$/s.exec(name) ?? [];
    const slash = path.lastIndexOf("/");
    return viewUrl({ filename: path.slice(slash + 1), subfolder: path.slice(0, Math.max(slash, 0)), type });
}

/** @param {{filename: string, subfolder?: string, type?: string}} file as the server names it */
function viewUrl({ filename, subfolder = "", type = "output" }) {
    return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}
