/** What boxes say besides their words: the same in both languages, read and refused alike. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseChain } from "../../web/chain_editor/chain.js";
import { chainFromJson, chainToJson } from "../../web/chain_editor/chain_json.js";
import { PLAIN, withDetails } from "../../web/chain_editor/details.js";

const CHAIN = chainToJson(parseChain("a sign (1,2),(300,400) (red), a dog (5,5),(9,9) (green)", "generate", ""));
const withBlock = (details) => chainFromJson({ ...CHAIN, details });
const box = (more) => ({ version: 1, boxes: [{ color: "red", phrase: "a sign", ...more }] });

test("a block is read and written again, without what is not known", () => {
    const block = box({ text: "OPEN", palette: ["#ff8800"], order: -1, on: false, strength: 0, glow: 7 });
    const chain = withBlock(block);
    assert.deepEqual(chain.regions[0].detail, { text: "OPEN", palette: ["#FF8800"], order: -1, on: false, strength: 0 });
    const { glow, ...known } = { ...block.boxes[0], palette: ["#FF8800"] };
    assert.deepEqual(chainToJson(chain).details, { version: 1, boxes: [known] });
    assert.equal("details" in chainToJson(withBlock(box({}))), false);
});

test("a newer version and what is out of range are refused with the reason", () => {
    assert.throws(() => withBlock({ version: 2, boxes: [] }), /newer version/);
    for (const block of [
        null, [], { boxes: [] }, { version: 1, boxes: {} }, { version: 1, boxes: [7] }, box({ text: 7 }), box({ palette: ["red"] }),
        box({ palette: "#FF8800" }), box({ order: 0.5 }), box({ on: "no" }), box({ strength: 3 }), box({ strength: "1" }),
    ]) assert.throws(() => withBlock(block), { name: "ChainError" }, JSON.stringify(block));
});

test("a box is found by colour and words, then by words, then by colour", () => {
    const stated = (color, phrase, order) => ({ color, phrase, detail: { ...PLAIN, order } });
    const boxes = [{ color: "red", phrase: "a dog" }, { color: "green", phrase: "a dog" }, { color: "blue", phrase: "a cat" }];
    const orders = (...all) => withDetails(all, boxes).map(({ detail }) => detail.order);
    assert.deepEqual(orders(stated("green", "a dog", 1), stated("red", "a dog", 2)), [2, 1, 0]);
    assert.deepEqual(orders(stated("white", "a dog", 1), stated("black", "a dog", 2)), [1, 2, 0]);
    assert.deepEqual(orders(stated("blue", "a lion", 1)), [0, 0, 1]);
    assert.deepEqual(orders(stated("gray", "a lion", 1)), [0, 0, 0]);
});
