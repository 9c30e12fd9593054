/**
 * The reasoning chain: prose in which every important object is followed by a box.
 *
 * The same rules as in `got_models/chain.py`, which is the authority and explains them. The text is the truth
 * and the regions are a view of it. All functions return new chains.
 */

import { freeColors, isColor, spelling } from "./colors.js";

/**
 * Left, top, right, bottom: whole numbers in 0 to 999 of the picture's width and height.
 * @typedef {readonly [number, number, number, number]} Box
 *
 * One object of the chain; `span` is its range in the text, from the phrase to the end of `(color)`.
 * @typedef {{phrase: string, box: Box, color: string, span: readonly [number, number]}} Region
 *
 * @typedef {{task: string, prompt: string, text: string, regions: readonly Region[]}} Chain
 *
 * One usable box as it stands in a text: [start, end) with its colour and, if marked, its phrase.
 * @typedef {{start: number, end: number, phrase: string | null, box: Box, color: string | null}} Found
 *
 * What is wrong with [start, end); if it must be `cut`, `keep` stays in its place.
 * @typedef {{start: number, end: number, message: string, cut: boolean, keep: string}} Problem
 */

export const GRID = 1000;
export const MAX_REGIONS = 64;
const TASKS = ["generate", "edit"];
const JSON_VERSION = 1;

const BOX_START = "<|box_start|>";
const BOX_END = "<|box_end|>";
export const OBJECT_START = "<|obj_start|>";
export const OBJECT_END = "<|obj_end|>";

const DETERMINERS = new Set(`
    a an the one two three four five six seven eight nine ten his her its their this that these those
    some several many another`.trim().split(/\s+/));

const GAP = "[ \\t\\n]*";
const NUMBER = "-?[0-9]+(?:\\.[0-9]+)?";
const CORNER = `\\(${GAP}${NUMBER}${GAP},${GAP}${NUMBER}${GAP}\\)`;
const CORNERS = `(?:${CORNER}${GAP},${GAP}${CORNER}|\\(${GAP}${CORNER}${GAP},${GAP}${CORNER}${GAP}\\))`;
const MARKUP = new RegExp(
    "(?:<\\|obj_start\\|>[ \\t]*(?<phrase>[^<\\n \\t][^<\\n]*)<\\|obj_end\\|>[ \\t]*)?" +
    `(?:<\\|box_start\\|>(?<inside>[^<]{0,40})<\\|box_end\\|>|(?<plain>${CORNERS}))` +
    "|(?<special><\\|[A-Za-z0-9_]+\\|>|[\\ud800-\\udfff])",
    "gu",
);
const INSIDE = new RegExp(`^${GAP}${CORNERS}${GAP}$`);
const COLOR = /[ \t]*\(([A-Za-z]+)\)/y;
const PHRASE_BOUNDARY = /[.,;:!?()\n]/g;
const WORD = /[^ \t]+/g;
const WORDS_WITHOUT_DETERMINER = 4;
// What Python takes for white space at the ends of a text.
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const SURROUNDING_SPACE = new RegExp(`^${SPACE}|${SPACE}$`, "g");

/** A chain that cannot be used, and where in its text, if known. */
export class ChainError extends Error {
    /**
     * @param {string} message
     * @param {number | null} start
     * @param {number | null} end
     */
    constructor(message, start = null, end = null) {
        super(message);
        this.name = "ChainError";
        this.start = start;
        this.end = end;
    }
}

/**
 * Reads a chain strictly: anything doubtful is an error.
 * @param {string} text
 * @param {string} task
 * @param {string} prompt
 * @returns {Chain}
 * @throws {ChainError} names the first place where the text cannot be used
 */
export function parseChain(text, task, prompt) {
    checkTask(task);
    const { found, problems } = scan(text);
    if (problems.length) throw new ChainError(problems[0].message, problems[0].start, problems[0].end);
    return render(text, found, task, prompt);
}

/**
 * Reads whatever a model wrote: what cannot be used is mended or left out.
 * @param {string} text
 * @param {string} task
 * @param {string} prompt
 * @returns {Chain}
 */
export function readChain(text, task, prompt) {
    checkTask(task);
    let { found, problems } = scan(text);
    while (problems.some((problem) => problem.cut)) {  // what closes up around a cut may be markup in its turn
        for (const { start, end, keep } of problems.filter((problem) => problem.cut).reverse()) {
            text = cut(text, start, end, keep);
        }
        ({ found, problems } = scan(text));
    }
    return render(text, found, task, prompt);
}

/**
 * The same chain with one region in another place.
 * @param {Chain} chain
 * @param {number} index
 * @param {Box} box
 */
export function moveBox(chain, index, box) {
    const region = regionAt(chain, index);
    checkBox(box);
    const before = chain.text.slice(0, boxStart(chain, region));
    return rewritten(chain, before + markup(box, region.color) + chain.text.slice(region.span[1]));
}

/**
 * The same chain with other words for one region.
 * @param {Chain} chain
 * @param {number} index
 * @param {string} phrase
 * @throws {ChainError} the words would not be read back as exactly this phrase
 */
export function renameRegion(chain, index, phrase) {
    const region = regionAt(chain, index);
    phrase = checkedPhrase(phrase);
    const [start] = region.span;
    const marked = chain.text.startsWith(OBJECT_START, start);
    const words = marked ? `${OBJECT_START}${phrase}${OBJECT_END}` : phrase;
    let before = chain.text.slice(0, start);
    if (before && !" \t\n(".includes(before.at(-1) ?? "")) before += " ";
    const after = chain.text.slice(boxStart(chain, region));
    const regions = chain.regions.with(index, { ...region, phrase });
    return withPhrase(chain, `${before}${words} ${after}`, regions, index);
}

/**
 * The same prose without one box. The words stay, so the next phrase may now begin among them.
 * @param {Chain} chain
 * @param {number} index
 */
export function removeRegion(chain, index) {
    const region = regionAt(chain, index);
    const [start, end] = region.span;
    const marked = chain.text.startsWith(OBJECT_START, start);
    return rewritten(chain, marked
        ? cut(chain.text, start, end, region.phrase)
        : cut(chain.text, boxStart(chain, region), end));
}

/**
 * The same chain with one more region at its end, in the next free colour.
 * @param {Chain} chain
 * @param {string} phrase
 * @param {Box} box
 * @throws {ChainError} the chain is full, or the words would not be read back as exactly this phrase
 */
export function addRegion(chain, phrase, box) {
    return append(chain, { phrase: checkedPhrase(phrase), box, color: nextColor(chain) }, false);
}

/**
 * The same chain with a region of another one at its end, marked if its phrase needs that, and in its own
 * colour if that is free.
 * @param {Chain} chain
 * @param {{phrase: string, box: Box, color: string}} region
 * @throws {ChainError} the chain is full
 */
export function insertRegion(chain, { phrase, box, color }) {
    const taken = chain.regions.some((other) => spelling(other.color) === spelling(color));
    const markable = phrase !== "" && !/[<\n]/.test(phrase);
    return append(chain, { phrase, box, color: taken ? nextColor(chain) : color }, markable);
}

/** @param {Chain} chain */
export function chainToJson({ task, prompt, text, regions }) {
    return {
        version: JSON_VERSION,
        task,
        prompt,
        text,
        regions: regions.map(({ phrase, box, color }) => ({ phrase, box: [...box], color })),
    };
}

/**
 * The inverse of `chainToJson`. The text is the truth; the regions must agree with it.
 * @param {any} data
 * @returns {Chain}
 * @throws {ChainError} a newer version, a missing or mistyped entry, or regions that the text does not hold
 */
export function chainFromJson(data) {
    if (typeof data !== "object" || data === null || Array.isArray(data)) {
        throw new ChainError("A chain in JSON must be an object.");
    }
    const { version } = data;
    if (!Number.isInteger(version) || version < 1) {
        throw new ChainError(`A chain in JSON needs "version": ${JSON_VERSION}.`);
    }
    if (version > JSON_VERSION) {
        throw new ChainError(
            `The chain has format version ${version}, this program knows up to ${JSON_VERSION}. ` +
            "Use a newer version of the program.",
        );
    }
    for (const key of ["task", "prompt", "text"]) {
        if (typeof data[key] !== "string") throw new ChainError(`A chain in JSON needs "${key}" as a string.`);
    }
    if (!Array.isArray(data.regions)) throw new ChainError('A chain in JSON needs "regions" as a list.');
    const chain = parseChain(data.text, data.task, data.prompt);
    if (!sameRegions(chain.regions, data.regions.map(regionFromJson))) {
        throw new ChainError("The regions do not agree with the text, which is what counts.");
    }
    return chain;
}

/**
 * All boxes of a text, mended where that is possible, and all that is wrong, both from left to right.
 * @param {string} text
 */
export function scan(text) {
    /** @type {Found[]} */
    const found = [];
    /** @type {Problem[]} */
    const problems = [];
    const colors = new Set();
    for (const match of text.matchAll(MARKUP)) {
        const { special, plain, inside, phrase: marked } = match.groups ?? {};
        const start = match.index;
        let end = start + match[0].length;
        /** @param {string} message */
        const complain = (message, cut = false, keep = "") => problems.push({ start, end, message, cut, keep });
        if (special) {
            complain(strayTokenMessage(special), true);
            continue;
        }

        COLOR.lastIndex = end;
        const colorMatch = COLOR.exec(text);
        /** @type {string | null} */
        let color = colorMatch?.[1].toLowerCase() ?? null;
        const known = color !== null && isColor(color);
        if (colorMatch && (known || !plain)) end += colorMatch[0].length;
        else color = null;  // after a plain box a word in brackets may be prose

        const phrase = marked ? trimEnd(marked) : null;
        let { box, complaints } = readCorners(plain ?? inside);
        if (box && found.length === MAX_REGIONS) {
            [box, complaints] = [null, [`A chain holds at most ${MAX_REGIONS} boxes.`]];
        }
        if (!box) {
            complain(complaints[0], true, phrase ?? "");
            continue;
        }
        for (const complaint of complaints) complain(complaint);

        if (color && !known) {
            complain(`Unknown colour name '${color}' after a box.`);
            color = null;
        }
        if (color && colors.has(spelling(color))) {
            complain(`Another box already has the colour '${color}'.`);
            color = null;
        }
        if (color) colors.add(spelling(color));
        found.push({ start, end, phrase, box, color });
    }
    return { found, problems };
}

/**
 * The corners that `(x1,y1),(x2,y2)` means, mended (null: beyond mending), and what is wrong with it.
 * @param {string} text
 * @returns {{box: Box | null, complaints: string[]}}
 */
function readCorners(text) {
    if (!INSIDE.test(text)) {
        return { box: null, complaints: [`Expected (x1,y1),(x2,y2) between ${BOX_START} and ${BOX_END}.`] };
    }
    const complaints = [];
    const written = text.match(new RegExp(NUMBER, "g")) ?? [];
    if (written.some((number) => number.includes("."))) complaints.push("Box coordinates must be whole numbers.");
    const values = written.map(Number);
    if (values.some((value) => value < 0 || value >= GRID)) {
        complaints.push(`Box coordinates must lie in 0 to ${GRID - 1}.`);
    }
    const [x1, y1, x2, y2] = values.map((value) => roundHalfToEven(Math.min(Math.max(value, 0), GRID - 1)));
    if (x1 === x2 || y1 === y2) return { box: null, complaints: [...complaints, "The box has no area."] };
    if (x1 > x2 || y1 > y2) {
        complaints.push("The box has its corners swapped: expected top-left, then bottom-right.");
    }
    return { box: [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)], complaints };
}

/**
 * The chain of the canonical text that holds the boxes found in `text`.
 * @param {string} text
 * @param {Found[]} found
 * @param {string} task
 * @param {string} prompt
 * @returns {Chain}
 */
function render(text, found, task, prompt) {
    const free = freeColors(found.flatMap(({ color }) => color ?? []));
    /** @type {Region[]} */
    const regions = [];
    let canonical = "";
    let done = 0;
    for (const item of found) {
        const begin = regions.at(-1)?.span[1] ?? 0;
        canonical += text.slice(done, item.start);
        let phrase, start;
        if (item.phrase === null) {
            start = phraseStart(canonical, begin);
            phrase = trimEnd(canonical.slice(start));
            if (phrase) canonical = `${canonical.slice(0, start)}${phrase} `;
            else start = canonical.length;
        } else {
            [phrase, start] = [item.phrase, canonical.length];
            const unmarked = canonical + phrase;
            // The markers go where the words alone say the same, and stay where they are needed.
            const readBack = phraseStart(unmarked, begin) === start && phrase.search(PHRASE_BOUNDARY) < 0;
            canonical = readBack ? `${unmarked} ` : `${canonical}${OBJECT_START}${phrase}${OBJECT_END} `;
        }
        const color = item.color ?? /** @type {string} */ (free.shift());
        canonical += markup(item.box, color);
        regions.push({ phrase, box: item.box, color, span: [start, canonical.length] });
        done = item.end;
    }
    return { task, prompt, text: canonical + text.slice(done), regions };
}

/**
 * Where in text[begin:] the phrase at its very end begins: after the last boundary, and within that at the last
 * determiner, or four words back if there is none.
 * @param {string} text
 * @param {number} begin
 */
function phraseStart(text, begin) {
    for (const { index } of text.matchAll(PHRASE_BOUNDARY)) begin = Math.max(begin, index + 1);
    const words = [...text.slice(begin).matchAll(WORD)];
    const determiner = words.findLast(([word]) => DETERMINERS.has(word.toLowerCase()));
    const first = determiner ?? words.at(-WORDS_WITHOUT_DETERMINER) ?? words[0];
    return first ? begin + first.index : text.length;
}

/**
 * @param {Chain} chain
 * @param {{phrase: string, box: Box, color: string}} region
 * @param {boolean} marked
 */
function append(chain, region, marked) {
    if (chain.regions.length === MAX_REGIONS) {
        throw new ChainError(`A chain holds at most ${MAX_REGIONS} boxes. Remove one first.`);
    }
    const { phrase, box, color } = region;
    checkBox(box);
    let before = trimEnd(chain.text);
    const sentenceEnd = before === "" || ".!?\n".includes(before.at(-1) ?? "") ? "." : "";
    if (before && !before.endsWith("\n")) before += ".,;:!?".includes(before.at(-1) ?? "") ? " " : ", ";
    const words = marked ? `${OBJECT_START}${phrase}${OBJECT_END}` : phrase;
    const text = `${before}${words} ${markup(box, color)}${sentenceEnd}`;
    return withPhrase(chain, text, [...chain.regions, { ...region, span: [0, 0] }], chain.regions.length);
}

/**
 * @param {Chain} chain
 * @param {string} text
 */
function rewritten(chain, text) {
    return parseChain(text, chain.task, chain.prompt);
}

/**
 * The chain of `text`, which must hold exactly `regions`; the words of region `index` are new.
 * @param {Chain} chain
 * @param {string} text
 * @param {readonly Region[]} regions
 * @param {number} index
 */
function withPhrase(chain, text, regions, index) {
    const result = rewritten(chain, text);
    if (!sameRegions(result.regions, regions)) {
        throw new ChainError(
            `The phrase '${regions[index].phrase}' would be read back as '${result.regions[index]?.phrase}'. Leave out` +
            " . , ; : ! ? ( ) and begin with a word like 'a' or 'the', which may stand only there.",
        );
    }
    return result;
}

/**
 * @param {Chain} chain
 * @param {number} index
 */
function regionAt(chain, index) {
    const region = chain.regions[index];
    if (!region) throw new ChainError(`The chain has regions 0 to ${chain.regions.length - 1}, got ${index}.`);
    return region;
}

/**
 * Where the box of a region begins, after its phrase.
 * @param {Chain} chain
 * @param {Region} region
 */
function boxStart(chain, { span }) {
    return chain.text.lastIndexOf(BOX_START, span[1] - 1);
}

/** @param {Chain} chain */
function nextColor(chain) {
    return freeColors(chain.regions.map(({ color }) => color))[0];
}

/**
 * @param {Box} box
 * @param {string} color
 */
function markup([x1, y1, x2, y2], color) {
    return `${BOX_START}(${x1},${y1}),(${x2},${y2})${BOX_END} (${color})`;
}

/**
 * The text with [start, end) replaced by `keep`, and no gap or glued words where nothing is kept.
 * @param {string} text
 * @param {number} start
 * @param {number} end
 */
function cut(text, start, end, keep = "") {
    const after = text.slice(end);
    if (keep) return text.slice(0, start) + keep + after;
    const before = trimEnd(text.slice(0, start));
    if (!before) return after.replace(/^[ \t]+/, "");
    const glued = after && !before.endsWith("\n") && !" \t\n.,;:!?)".includes(after[0]);
    return glued ? `${before} ${after}` : before + after;
}

/** @param {string} token */
function strayTokenMessage(token) {
    if (token === BOX_START || token === BOX_END) {
        return `${token} without a readable box: expected ${BOX_START}(x1,y1),(x2,y2)${BOX_END}.`;
    }
    if (token === OBJECT_START || token === OBJECT_END) {
        return `${token} that does not mark a phrase directly before a box.`;
    }
    return `The special token '${token}' may not stand in a chain.`;
}

/** @param {string} phrase */
function checkedPhrase(phrase) {
    phrase = phrase.replace(SURROUNDING_SPACE, "");
    if (!phrase) throw new ChainError("The phrase is empty. Give the region a few words.");
    if (phrase.includes("\n") || phrase.includes("<|") || phrase.includes("|>")) {
        throw new ChainError("A phrase may not hold line breaks or markup.");
    }
    return phrase;
}

/** @param {string} task */
function checkTask(task) {
    if (!TASKS.includes(task)) {
        throw new ChainError(`Unknown task '${task}': expected one of ${TASKS.join(", ")}.`);
    }
}

/** @param {any} box */
function checkBox(box) {
    const [x1, y1, x2, y2] = box;
    const whole = box.every((/** @type {any} */ value) => Number.isInteger(value) && 0 <= value && value < GRID);
    if (box.length !== 4 || !whole || x1 >= x2 || y1 >= y2) {
        throw new ChainError(`A box is left, top, right, bottom in 0 to ${GRID - 1}, got ${box}.`);
    }
}

/**
 * @param {any} entry
 * @param {number} index
 * @returns {Region}
 */
function regionFromJson(entry, index) {
    const whole = typeof entry === "object" && entry !== null && "phrase" in entry && "box" in entry && "color" in entry;
    if (!whole) throw new ChainError(`Region ${index} needs "phrase", "box" and "color".`);
    if (!Array.isArray(entry.box)) throw new ChainError(`The box of region ${index} must be [x1, y1, x2, y2].`);
    checkBox(entry.box);
    return { ...entry, span: [0, 0] };
}

/**
 * Whether two chains hold the same regions, wherever those stand in the text.
 * @param {readonly Region[]} first
 * @param {readonly Region[]} second
 */
function sameRegions(first, second) {
    return first.length === second.length && first.every((region, index) => sameRegion(region, second[index]));
}

/**
 * @param {Region} first
 * @param {Region} second
 */
export function sameRegion(first, second) {
    return first.phrase === second.phrase && first.color === second.color && sameBox(first.box, second.box);
}

/**
 * @param {Box} first
 * @param {Box} second
 */
export function sameBox(first, second) {
    return first.every((value, index) => value === second[index]);
}

/** @param {string} text */
function trimEnd(text) {
    return text.replace(/[ \t]+$/, "");
}

/**
 * Python's `round`.
 * @param {number} value
 */
function roundHalfToEven(value) {
    const floor = Math.floor(value);
    const up = value - floor > 0.5 || (value - floor === 0.5 && floor % 2 === 1);
    return (up ? floor + 1 : floor) + 0;  // + 0, because -0 is not 0
}
