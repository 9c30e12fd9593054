/** The prompt follows a changed plan, and the plan's sentence stays sound: Python's vectors, with the same results. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { addRegion, parseChain, removeRegion, renameRegion } from "../../web/chain_editor/chain.js";
import { withArticle } from "../../web/chain_editor/english.js";
import { updatedPrompt } from "../../web/chain_editor/prompt_update.js";

const VECTORS = JSON.parse(readFileSync(new URL("../fixtures/prompts.json", import.meta.url), "utf8"));
const parse = (text, task = "generate") => parseChain(text, task, "");

for (const { name, task, prompt, before, after, updated, missed } of VECTORS.updates) {
    test(`the prompt follows the plan: ${name}`, () => {
        assert.deepEqual(updatedPrompt(prompt, parse(before, task), parse(after, task)), { prompt: updated, missed });
    });
}

for (const { name, text, phrase, box, canonical } of VECTORS.adds) {
    test(`a new object joins its sentence: ${name}`, () => {
        assert.equal(addRegion(parse(text), phrase, box).text, canonical);
    });
}

for (const { name, text, index, canonical } of VECTORS.removes) {
    test(`a sentence stays sound without an object: ${name}`, () => {
        assert.equal(removeRegion(parse(text), index).text, canonical);
    });
}

for (const [phrase, fitting] of VECTORS.articles) {
    test(`the article fits where that is certain: ${phrase}`, () => {
        assert.equal(withArticle(phrase), fitting);
        assert.equal(renameRegion(parse("the dog (1,2),(3,4)"), 0, phrase).regions[0].phrase, fitting);
    });
}

test("a long prompt and a full plan take no long", () => {
    const chain = parse("a cat (1,2),(3,4), ".repeat(64));
    const start = process.cpuUsage();
    updatedPrompt("a cat on ".repeat(2000), chain, removeRegion(renameRegion(chain, 0, "a dog"), 5));
    assert(process.cpuUsage(start).user < 2_000_000, "microseconds");
});
