/**
 * Puts the review of a dataset on GoT Review Dataset.
 * @typedef {import("./comfyui/graph.js").GraphNode} GraphNode
 */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";
import { ask } from "./comfyui/ask.js";
import { sourceOfInput } from "./comfyui/graph.js";
import { addElement, addStyle, chainCallback, widgetOf } from "./comfyui/node_element.js";
import { bring, onRuns, whenBrought } from "./comfyui/runs.js";
import { Review } from "./review/review.js";

const NODE = "GoTReviewDataset";
const MIN_HEIGHT = 540;
/** @type {[number, number]} */
const SIZE = [520, 900];

app.registerExtension({
    name: "GoT.Review",
    init() {
        addStyle(new URL("./review/style.css", import.meta.url).href);
        onRuns((type, detail, run) => {
            const name = detail.display_node ?? detail.node;
            if (type === "executed" && run && detail.output?.reviewed) bring(run, name, { reviewed: detail.output.reviewed[0] });
        });
    },
    /** @param {GraphNode} node */
    nodeCreated(node) {
        if (node.comfyClass === NODE) addReview(node);
    },
});

/** @param {GraphNode} node */
function addReview(node) {
    /** @type {string | null} the folder that the last run has named */
    let named = null;
    const [folder, rows] = ["folder", "rows"].map((name) => widgetOf(node, name));
    const review = new Review({
        asked: (path, question) => ask(path, JSON.stringify(question)),
        place: () => {
            const place = sourceOfInput(node, "folder") ? named : folder.value;
            return place === null ? null : { folder: place, rows: rows.value };
        },
        pictureUrl: (place, name) => api.apiURL(`/got/review/picture?${new URLSearchParams({ folder: place, name })}`),
        pasted: (question) => ask("/got/pasted_plan", JSON.stringify(question)),
    });
    addElement(node, "review", review.editor.element, MIN_HEIGHT, SIZE);
    whenBrought(node, ({ reviewed }) => {
        if (reviewed === undefined) return;
        named = reviewed;
        review.arrive();
    });
    chainCallback(folder, "callback", () => review.close());
    chainCallback(rows, "callback", () => review.close());
    chainCallback(node, "onConnectionsChange", () => review.follow());
    chainCallback(node, "onRemoved", () => review.dispose());
}
