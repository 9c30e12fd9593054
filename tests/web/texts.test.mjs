/** What the page says, in both languages. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { EN } from "../../web/texts/en.js";
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
