import assert from "node:assert/strict";
import { test } from "node:test";

import { drawsAfter, sourceIn } from "../../web/comfyui/prompt.js";

const OUTPUTS = {
    GoTEditChain: ["GOT_CHAIN", "STRING", "IMAGE", "GOT_CHAIN"],
    GoTSSGMEncode: ["GOT_GUIDANCE", "CONDITIONING", "CONDITIONING", "IMAGE"],
    GoTGuider: ["GUIDER"],
};
const typeOf = (kind, slot) => OUTPUTS[kind]?.[slot];
const node = (class_type, inputs = {}) => ({ class_type, inputs });

const PROMPT = {
    reason: node("GoTReason", { prompt: "a star", size: [1, 2] }),
    editor: node("GoTEditChain", { chain: ["reason", 0], edited_chain: "" }),
    "12:5": node("GoTSSGMEncode", { chain: ["editor", 0] }),
    guider: node("GoTGuider", { guidance: ["12:5", 0] }),
    draw: node("SamplerCustomAdvanced", { guider: ["guider", 0] }),
    save: node("SaveImage", { images: ["draw", 0], filename_prefix: ["reason", 1] }),
    layout: node("PreviewImage", { images: ["editor", 2] }),
    masks: node("GoTChainToMasks", { chain: ["editor", 0] }),
    shown: node("PreviewImage", { images: ["masks", 3] }),
    again: node("GoTReason", { locked: ["editor", 3] }),
    other: node("GoTSSGMEncode", { chain: ["again", 0] }),
    "other save": node("SaveImage", { images: ["other", 3] }),
    loop: node("Loop", { value: ["loop", 0], lost: ["nowhere", 0] }),
};

test("a picture is drawn after a chain where guidance lies between", () => {
    assert.ok(drawsAfter(PROMPT, "save", "editor", typeOf));
    for (const name of ["layout", "shown", "other save", "loop", "nowhere"]) {
        assert.ok(!drawsAfter(PROMPT, name, "editor", typeOf), name);
    }
});

test("the writer of a chain is the node that its input comes from", () => {
    assert.equal(sourceIn(PROMPT, "editor", "chain"), "reason");
    for (const [name, input] of [["editor", "edited_chain"], ["reason", "size"], ["reason", "none"], ["nowhere", "chain"]]) {
        assert.equal(sourceIn(PROMPT, name, input), null);
    }
});
