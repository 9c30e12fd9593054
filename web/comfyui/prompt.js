/**
 * Questions to a prompt as the server runs it: without reroutes, subgraphs and nodes that are bypassed.
 * @typedef {Record<string, {class_type: string, inputs: Record<string, unknown>}>} Prompt by the nodes' names
 */

const CHAIN_OUTPUT = 0;
// A picture that comes from a chain over one of these was drawn after it; others only show its layout.
const GUIDANCE = new Set(["GOT_GUIDANCE", "CONDITIONING", "GUIDER"]);

/**
 * @param {Prompt} prompt
 * @param {string} name
 * @param {string} input
 * @returns {string | null} the node that feeds an input
 */
export function sourceIn(prompt, name, input) {
    const value = prompt[name]?.inputs[input];
    return isLink(value) ? value[0] : null;
}

/**
 * Whether a node's pictures are drawn after the chain of `editor`.
 * @param {Prompt} prompt
 * @param {string} name
 * @param {string} editor
 * @param {(kind: string, slot: number) => string | undefined} typeOf says what an output of a class of nodes gives
 * @returns {boolean}
 */
export function drawsAfter(prompt, name, editor, typeOf, guided = false, seen = new Set()) {
    const key = `${name}:${guided}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return Object.values(prompt[name]?.inputs ?? {}).filter(isLink).some(([source, slot]) => {
        if (source === editor) return guided && slot === CHAIN_OUTPUT;
        const kind = prompt[source]?.class_type;
        const guides = GUIDANCE.has(typeOf(kind, slot) ?? "");
        return drawsAfter(prompt, source, editor, typeOf, guided || guides, seen);
    });
}

/**
 * @param {unknown} value
 * @returns {value is [string, number]}
 */
function isLink(value) {
    return Array.isArray(value) && value.length === 2 && typeof value[0] === "string";
}
