/** What the page says, in both languages. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { EN } from "../../web/texts/en.js";
import { remarkIn, REMARKS } from "../../web/texts/remarks.js";
import { ZH } from "../../web/texts/zh.js";

const CHINESE = /\p{Script=Han}/u;
const VALUES = [3, 7, "a star", "1, 2", true];

/** Every text with its path; what depends on values is said of some. */
function all(texts, path = "") {
    return Object.entries(texts).flatMap(([name, text]) =>
        typeof text === "object" ? all(text, `${path}${name}.`) : [[path + name, text]]);
}

test("both languages say the same things, with the same values", () => {
    const shape = (texts) => all(texts).map(([path, text]) => [path, typeof text === "function" ? text.length : "text"]);
    assert.deepEqual(shape(ZH), shape(EN));
});

for (const [language, texts, isChinese] of [["English", EN, false], ["Chinese", ZH, true]]) {
    test(`every text is whole, in ${language}`, () => {
        for (const [path, text] of all(texts)) {
            const said = typeof text === "function" ? text(...VALUES) : text;
            assert.ok(said.trim() === said && said.length > 0, path);
            assert.ok(!said.includes("undefined"), path);
            assert.equal(CHINESE.test(said), isChinese, path);
            if (typeof text === "function") assert.ok(said.includes("3"), path);
        }
    });
}

const EDITOR = new URL("../../web/chain_editor/", import.meta.url);
/** The editor's own code, with {} for each value that it puts into a text, and texts on one line. */
const CODE = readdirSync(EDITOR).filter((name) => name.endsWith(".js")).map((name) => readFileSync(new URL(name, EDITOR), "utf8"))
    .join("\n").replace(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, "{}").replace(/[`"] \+\s+[`"]/g, "");

test("what is translated is what the editor says, with as many values", () => {
    for (const [english, chinese] of Object.entries(REMARKS.zh)) {
        const said = english.replace(" There are {} more like it.", "");
        assert.ok(CODE.includes(said), said);
        assert.equal(english.split("{}").length, chinese.split("{}").length, english);
        assert.match(chinese, CHINESE);
    }
});

test("all that the editor says of plans and prompts is translated", () => {
    const said = [...CODE.matchAll(/(?:new ChainError|complain|complaints\.push|missed\.push)\(\s*(["`])(.*?)\1/g)].map((match) => match[2]);
    const rare = /JSON|program|It is no text|It must hold|must list|must hold|regions 0 to|Unknown task|A box is left|There is no|Region \{|of region|do not agree/;
    assert.ok(said.length > 20);
    assert.deepEqual(said.filter((sentence) => !(sentence in REMARKS.zh) && !rare.test(sentence)), []);
});

test("a remark is said in Chinese with its values, and otherwise as it is", () => {
    assert.equal(remarkIn("'a cat, (asleep)' is locked. Unlock it first.", "zh"), "“a cat, (asleep)”已锁定。请先解锁。");
    assert.equal(remarkIn("The box has no area.", "zh"), "框没有面积。");
    assert.equal(remarkIn("The box has no area.", "en"), "The box has no area.");
    assert.equal(remarkIn("Something else.", "zh"), "Something else.");
});
