/** The graph around a node, as ComfyUI tells of it. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { sourceOfInput, targetsOf } from "../../web/comfyui/graph.js";

/** A graph whose nodes warn, as ComfyUI's do, when a slot is asked for its links. */
function graphOf(nodes, links) {
    const graph = { nodes: [], links: new Map(), getNodeById: (id) => graph.nodes.find((node) => node.id == id) };
    graph.nodes = nodes.map(({ id, type = "Any", inputs = [], ...more }) => ({
        id, type, graph, ...more,
        inputs: inputs.map((name) => ({ name, get link() { throw new Error("input.link is deprecated"); } })),
        get outputs() { throw new Error("output.links is deprecated"); },
    }));
    links.forEach(([origin_id, origin_slot, target_id, target_slot], id) =>
        graph.links.set(id, { id, origin_id, origin_slot, target_id, target_slot, type: "GOT_CHAIN" }));
    return graph;
}

const types = (nodes) => nodes.map(({ type }) => type);

test("what feeds an input, and what an output feeds, through a reroute", () => {
    const graph = graphOf([
        { id: 1, type: "GoTReason" },
        { id: 2, type: "Reroute", inputs: [""] },
        { id: 3, type: "GoTEditChain", inputs: ["chain"] },
        { id: 4, type: "GoTSSGMEncode", inputs: ["model", "chain"] },
    ], [[1, 0, 2, 0], [2, 0, 3, 0], [3, 0, 4, 1], [1, 1, 4, 0]]);
    assert.equal(sourceOfInput(graph.getNodeById(3), "chain").node.type, "GoTReason");
    assert.equal(sourceOfInput(graph.getNodeById(3), "prompt"), null);
    assert.deepEqual(types(targetsOf(graph.getNodeById(3), 0)), ["GoTSSGMEncode"]);
    assert.deepEqual(types(targetsOf(graph.getNodeById(1), 0)), ["GoTEditChain"]);
    assert.deepEqual(targetsOf(graph.getNodeById(4), 0), []);
});

for (const [name, id] of [["numbers", (number) => number], ["text", String]]) {
    test(`through the borders of a subgraph, with ids as ${name}`, () => {
        const inside = graphOf([{ id: id(5), type: "GoTEditChain", inputs: ["chain"] }], [
            [id(-10), 0, id(5), 0], [id(5), 0, id(-20), 0],
        ]);
        const root = graphOf([
            { id: id(1), type: "GoTReason" },
            { id: id(2), type: "a subgraph", inputs: ["chain"], subgraph: inside },
            { id: id(3), type: "GoTSSGMEncode", inputs: ["chain"] },
        ], [[id(1), 0, id(2), 0], [id(2), 0, id(3), 0]]);
        inside.rootGraph = root;
        const editor = inside.getNodeById(5);
        assert.equal(sourceOfInput(editor, "chain").node.type, "GoTReason");
        assert.deepEqual(types(targetsOf(editor, 0)), ["GoTSSGMEncode"]);
        assert.deepEqual(types(targetsOf(root.getNodeById(1), 0)), ["GoTEditChain"]);
        assert.equal(sourceOfInput(root.getNodeById(3), "chain").node.type, "GoTEditChain");
    });
}
