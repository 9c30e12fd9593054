/** Reads and edits the texts on standard input; `test_web.py` compares the answers with Python's. */

import { readFileSync } from "node:fs";

import { addRegion, ChainError, moveBox, parseChain, readChain, removeRegion, renameRegion } from "../../web/chain_editor/chain.js";
import { chainToJson } from "../../web/chain_editor/chain_json.js";
import { updatedPrompt } from "../../web/chain_editor/prompt_update.js";
import { coordinatesNotRead } from "../../web/chain_editor/lookalikes.js";

function answer({ text, phrase, box, index, prompt, task, other }) {
    const chain = readChain(text, "generate", "");
    const [before, after] = [text, other].map((plan) => readChain(plan, task, ""));
    return {
        problem: problem(text),
        read: chainToJson(chain),
        warned: coordinatesNotRead(chain.text) !== null,
        move: result(() => moveBox(chain, index, box)),
        rename: result(() => renameRegion(chain, index, phrase)),
        remove: result(() => removeRegion(chain, index)),
        add: result(() => addRegion(chain, phrase, box)),
        prompt: updatedPrompt(prompt, before, after),
    };
}

function problem(text) {
    try {
        parseChain(text, "generate", "");
        return null;
    } catch (error) {
        return error.start;
    }
}

function result(edit) {
    try {
        return chainToJson(edit());
    } catch (error) {
        if (error instanceof ChainError) return null;
        throw error;
    }
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
