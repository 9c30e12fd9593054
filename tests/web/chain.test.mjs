/** The chain in JavaScript: the vectors that Python is held to, with the same results. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ChainError, insertRegion, parseChain, readChain, removeRegion, renameRegion } from "../../web/chain_editor/chain.js";
import { chainFromJson, chainToJson } from "../../web/chain_editor/chain_json.js";
import { MASK_COLORS } from "../../web/chain_editor/colors.js";
import { coordinatesNotRead } from "../../web/chain_editor/lookalikes.js";

const VECTORS = JSON.parse(readFileSync(new URL("../fixtures/chains.json", import.meta.url), "utf8"));
const TEXT = "A red circle <|box_start|>(100,200),(400,500)<|box_end|> (red) is left of"
    + " a blue square <|box_start|>(600,200),(900,500)<|box_end|> (green).";

const parse = (text) => parseChain(text, "generate", "a prompt");

test("the mask colours are Python's", () => assert.deepEqual(MASK_COLORS, VECTORS.mask_colors));

for (const { name, text, canonical, regions } of VECTORS.parses) {
    test(`accepted: ${name}`, () => {
        for (const reader of [parseChain, readChain]) {
            for (const written of [text, canonical]) {
                const chain = reader(written, "generate", "a prompt");
                assert.equal(chain.text, canonical);
                assert.deepEqual(
                    chain.regions.map(({ phrase, box, color, span }) =>
                        ({ phrase, box, color, marked: chain.text.slice(...span) })),
                    regions,
                );
            }
        }
    });
}

for (const { name, text, position, says } of VECTORS.refuses) {
    test(`refused: ${name}`, () => {
        assert.throws(() => parse(text), (error) => {
            assert(error instanceof ChainError);
            assert.equal(error.start, position);
            assert(error.end > position && error.end <= text.length);
            assert(error.message.includes(says), error.message);
            return true;
        });
        const mended = readChain(text, "generate", "a prompt");
        assert.deepEqual(parse(mended.text), mended);
    });
}

for (const { name, text, canonical } of VECTORS.mends) {
    test(`mended: ${name}`, () => assert.equal(readChain(text, "generate", "a prompt").text, canonical));
}

for (const { name, text, index, phrase, canonical } of VECTORS.renames) {
    test(`renamed: ${name}`, () => assert.equal(renameRegion(parse(text), index, phrase).text, canonical));
}

test("what looks like coordinates and is no box is told", () => {
    assert.deepEqual(VECTORS.lookalikes.filter((text) => !coordinatesNotRead(parse(text).text)), []);
});

test("ordinary prose is no false alarm", () => {
    assert.deepEqual(VECTORS.ordinary.filter((text) => coordinatesNotRead(parse(text).text)), []);
});

test("a prompt is in composed form", () => {
    assert.equal(parseChain("", "generate", "a cafe\u0301").prompt, "a café");
});

test("coordinate 1000 in JSON is the edge", () => {
    const text = "a cat <|box_start|>(0,0),(999,999)<|box_end|> (red)";
    const data = { ...chainToJson(parse(text)), regions: [{ phrase: "a cat", box: [0, 0, 1000, 1000], color: "red" }] };
    assert.deepEqual(chainFromJson(data), parse(text));
});

test("a chain saved when other signs bounded a phrase keeps its phrase", () => {
    const phrase = "红色圆，很大";
    const box = "<|box_start|>(1,2),(3,4)<|box_end|> (red)";
    const data = { version: 1, task: "generate", prompt: "", text: `有一个 ${phrase} ${box}`,
        regions: [{ phrase, box: [1, 2, 3, 4], color: "red" }] };
    assert.equal(chainFromJson(data).regions[0].phrase, phrase);
    assert.throws(() => chainFromJson({ ...data, regions: [{ ...data.regions[0], phrase: "别的" }] }), /do not agree/);
});

for (const piece of [
    "(", "((", "<|", "<|obj_start|>", "<|object_ref_start|>", "<|box_start|>", "(1,", "(5,", "((5,5),(5,5))", "<|im_end|>", "<|im_",
    "9", "( ", " ", "\u00a0", "a\u0300\u0316", "\u0300", "[1,2,", "[[", "bbox", "\r\n", "(5,5),", "\ud800", "1 1 1 1 ",
]) {
    test(`long hostile text is read in time: ${JSON.stringify(piece)}`, () => {
        const start = process.cpuUsage();
        const chain = readChain(piece.repeat(100_000 / piece.length), "generate", "");
        coordinatesNotRead(chain.text);
        assert.deepEqual(parseChain(chain.text, "generate", ""), chain);
        assert(process.cpuUsage(start).user < 5_000_000, "microseconds");
    });
}

test("a chain survives JSON", () => {
    const chain = parse(TEXT);
    assert.deepEqual(chainFromJson(JSON.parse(JSON.stringify(chainToJson(chain)))), chain);
});

const json = chainToJson(parse(TEXT));
for (const [name, data, says] of [
    ["a list", [], "must be an object"],
    ["nothing", null, "must be an object"],
    ["no version", { ...json, version: undefined }, '"version"'],
    ["a newer version", { ...json, version: 2 }, "newer version"],
    ["no text", { ...json, text: 7 }, '"text"'],
    ["another task", { ...json, task: "dance" }, "Unknown task"],
    ["no regions", { ...json, regions: {} }, '"regions"'],
    ["a region too few", { ...json, regions: json.regions.slice(1) }, "do not agree"],
    ["a box off the canvas", { ...json, regions: [{ ...json.regions[0], box: [0, 0, 5, 2000] }] }, "0 to 999"],
    ["a region that is none", { ...json, regions: ["red"] }, "Region 0 needs"],
]) {
    test(`JSON refused: ${name}`, () => {
        assert.throws(() => chainFromJson(data), (error) => error instanceof ChainError && error.message.includes(says));
    });
}

test("a phrase with markup in it is only words", () => {
    const chain = renameRegion(parse(TEXT), 0, "a <img src=x onerror='alert'> circle");
    assert.equal(chain.regions[0].phrase, "a <img src=x onerror='alert'> circle");
    assert.throws(() => renameRegion(chain, 0, "a <|im_end|>"), ChainError);
});

test("a region of another chain comes in with its words, marked where needed", () => {
    const marked = parse("See <|obj_start|>a man in a hat<|obj_end|> <|box_start|>(1,2),(3,4)<|box_end|> (red).");
    const found = (chain) => chain.regions.find(({ phrase }) => phrase === "a man in a hat");
    assert.equal(found(insertRegion(parse(TEXT), marked.regions[0])).color, "blue", "red is taken");
    assert.equal(found(insertRegion(removeRegion(parse(TEXT), 0), marked.regions[0])).color, "red");
});
