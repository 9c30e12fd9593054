/**
 * How a box stands in a chain's text: found in every form that is understood, written in one.
 *
 * The same rules as in `got_models/chain/notation.py`, which is the authority and explains them. The text is a `clean` one.
 */

import { SPACES, trimEnd, trimStart } from "./characters.js";
import { freeColors, isColor, spelling } from "./colors.js";
import { PLAIN } from "./details.js";

/**
 * Left, top, right, bottom: whole numbers in 0 to 999 of the picture's width and height.
 * @typedef {readonly [number, number, number, number]} Box
 *
 * One object of the chain; `span` is its range in the text, from the phrase to the end of `(color)`; `detail` is what it
 * says besides, which the text does not hold.
 * @typedef {{
 *     phrase: string, box: Box, color: string, span: readonly [number, number], detail: import("./details.js").Detail,
 * }} Region
 *
 * One usable box as it stands in a text: [start, end) with its phrase, if marked, and its usable colour.
 * @typedef {{start: number, end: number, phrase: string | null, box: Box, color: string | null}} Found
 *
 * What is wrong with [start, end); if it must be `cut`, `keep` stays in its place.
 * @typedef {{start: number, end: number, message: string, cut: boolean, keep: string}} Problem
 */

export const GRID = 1000;
export const MAX_REGIONS = 64;

export const BOX_START = "<|box_start|>";
export const BOX_END = "<|box_end|>";
export const OBJECT_START = "<|obj_start|>";
export const OBJECT_END = "<|obj_end|>";
const REFERENCE_START = "<|object_ref_start|>";
const REFERENCE_END = "<|object_ref_end|>";

export const DETERMINERS = new Set(`
    a an the one two three four five six seven eight nine ten his her its their this that these those
    some several many another`.trim().split(/\s+/));

/** What would break the token sequence: any special token, and half characters, which no tokenizer takes. */
export const SPECIAL_TOKEN = /<\|[A-Za-z0-9_]+\|>|[\ud800-\udfff]/u;

const SPACE = `[${SPACES}]*`;
const GAP_CHARACTERS = `${SPACES}\n\u200c\u200d`;
const GAP = `[${GAP_CHARACTERS}]*`;
const [OPEN, CLOSE, COMMA] = ["[(\uff08]", "[)\uff09]", "[,\uff0c\u3001]"];
const NUMBER = "[-\u2212\uff0d]?[0-9\uff10-\uff19]+(?:[.\uff0e][0-9\uff10-\uff19]+)?";
const CORNER = [OPEN, NUMBER, COMMA, NUMBER, CLOSE].join(GAP);
const CORNERS = `(?:${[CORNER, COMMA, CORNER].join(GAP)}|${[OPEN, CORNER, COMMA, CORNER, CLOSE].join(GAP)})`;
const WORDS = `(?![${SPACES}])(?:[^<|\\n\\ud800-\\udfff]|<(?!\\|)|\\|(?!>))+`;
const MARKED =
    `<\\|obj_start\\|>${SPACE}(?<object>${WORDS})<\\|obj_end\\|>` +
    `|<\\|object_ref_start\\|>${SPACE}(?<reference>${WORDS})<\\|object_ref_end\\|>`;
const MARKUP = new RegExp(
    `(?:(?:${MARKED})${SPACE})?(?:<\\|box_start\\|>(?<inside>[^<]{0,60})<\\|box_end\\|>|(?<plain>${CORNERS}))` +
    `|(?<special>${SPECIAL_TOKEN.source})`,
    "gu",
);
const INSIDE = new RegExp(`^${GAP}${CORNERS}${GAP}$`);
const COLOR = new RegExp(`${SPACE}${OPEN}([A-Za-z\uff21-\uff3a\uff41-\uff5a]+)${CLOSE}`, "y");
const ASCII_NUMBER = /-?[0-9]+(?:\.[0-9]+)?/g;
const PHRASE_BOUNDARY =
    /[.,;:!?()\n\u2026\u3002\uff0e\uff0c\u3001\uff64\uff1b\uff1a\uff01\uff1f\uff08\uff09\uff3b\uff3d\uff5b\uff5d\u300c-\u300f\u300a\u300b\u3008\u3009\u3010\u3011\u3014\u3015\u3016\u3017\uff61-\uff63\u060c\u061b\u061f\u06d4\u0964\u0965]/g;
const CORNER_CHARACTERS = `${GAP_CHARACTERS}()（）,，、.．-−－0123456789０１２３４５６７８９`;
const [TOKEN_END, TOKEN_START] = [/[<|A-Za-z0-9_]$/, /^[A-Za-z0-9_|>]/];
const LOOK_BACK = 100;  // characters: no box that anybody writes is longer
const WORD = new RegExp(`[^${SPACES}]+`, "g");
const WORDS_WITHOUT_DETERMINER = 4;

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
        const { special, plain, inside, object, reference } = match.groups ?? {};
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
        let color = colorMatch?.[1].normalize("NFKC").toLowerCase() ?? null;
        const known = color !== null && isColor(color);
        if (colorMatch && (known || !plain)) end += colorMatch[0].length;
        else color = null;  // after a plain box a word in brackets may be prose

        const phrase = trimEnd(object ?? reference ?? "") || null;
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
            complain(`Unknown colour name '${excerpt(color)}' after a box.`);
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
    const written = text.normalize("NFKC").replaceAll("\u2212", "-").match(ASCII_NUMBER) ?? [];
    const values = written.map(Number);
    if (written.some((number) => number.includes("."))) {
        complaints.push("Box coordinates must be whole numbers, thousandths of the picture.");
        if (values.every((value) => value >= 0 && value <= 1)) return { box: null, complaints };
    }
    if (values.some((value) => value < 0 || value > GRID)) {
        complaints.push(`Box coordinates must be in 0 to ${GRID - 1}.`);
    }
    const [x1, y1, x2, y2] = values.map((value) => roundHalfToEven(Math.min(Math.max(value, 0), GRID - 1)));
    if (x1 === x2 || y1 === y2) return { box: null, complaints: [...complaints, "The box has no area."] };
    if (x1 > x2 || y1 > y2) {
        complaints.push("The box has its corners swapped: expected top-left, then bottom-right.");
    }
    return { box: [Math.min(x1, x2), Math.min(y1, y2), Math.max(x1, x2), Math.max(y1, y2)], complaints };
}

/**
 * The canonical text that holds the boxes found in `text`, and its regions.
 * @param {string} text
 * @param {Found[]} found
 * @returns {{text: string, regions: Region[]}}
 */
export function render(text, found) {
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
            const words = canonical + phrase;
            // The markers go where the words alone say the same, and stay where they are needed.
            const readBack = phraseStart(words, begin) === start && phrase.search(PHRASE_BOUNDARY) < 0;
            canonical = readBack ? `${words} ` : `${canonical}${marked(phrase)} `;
        }
        const color = item.color ?? /** @type {string} */ (free.shift());
        canonical += boxMarkup(item.box, color);
        regions.push({ phrase, box: item.box, color, span: [start, canonical.length], detail: PLAIN });
        done = item.end;
    }
    return { text: canonical + text.slice(done), regions };
}

/**
 * Where in text[begin:] the phrase at its very end begins: after the last boundary, and within that at the last
 * determiner, or four words back if there is none.
 * @param {string} text
 * @param {number} begin
 */
function phraseStart(text, begin) {
    let rest = text.slice(begin);
    let boundary = 0;
    for (const { index } of rest.matchAll(PHRASE_BOUNDARY)) boundary = index + 1;
    rest = rest.slice(boundary);
    const words = [...rest.matchAll(WORD)];
    const determiner = words.findLast(([word]) => DETERMINERS.has(word.toLowerCase()));
    const first = determiner ?? words.at(-WORDS_WITHOUT_DETERMINER) ?? words[0];
    return first ? begin + boundary + first.index : text.length;
}

/**
 * A box as it stands in a canonical text, with its colour.
 * @param {Box} box
 * @param {string} color
 */
export function boxMarkup([x1, y1, x2, y2], color) {
    return `${BOX_START}(${x1},${y1}),(${x2},${y2})${BOX_END} (${color})`;
}

/**
 * The words between markers, so that they are read as exactly this phrase.
 * @param {string} phrase
 */
export function marked(phrase) {
    return `${OBJECT_START}${phrase}${OBJECT_END}`;
}

/**
 * A canonical text without the markers of phrases.
 * @param {string} text
 */
export function unmarked(text) {
    return text.replaceAll(OBJECT_START, "").replaceAll(OBJECT_END, "");
}

/**
 * Whether there is a box or a special token in a text.
 * @param {string} text
 */
export function holdsMarkup(text) {
    return text.search(MARKUP) >= 0;
}

/**
 * The text without what is to be cut, and no gap, glued words or new markup in its place.
 * @param {string} text
 * @param {{start: number, end: number, keep: string}[]} cuts
 */
export function without(text, cuts) {
    const pieces = [];
    let done = 0;
    for (const { start, end, keep } of cuts) {
        pieces.push(text.slice(done, start), keep);
        done = end;
    }
    pieces.push(text.slice(done));
    let kept = "";
    let end = "";  // of what is kept
    let gap = false;  // whether what stood between `end` and the next piece has gone without a trace
    for (let [index, piece] of pieces.entries()) {
        if (index % 2 === 0 && pieces[index + 1] === "") piece = trimEnd(piece);
        if (!end && gap) piece = trimStart(piece);
        if (piece) {
            const joined = (end ? seam(end, piece, gap) : "") + piece;
            kept += joined;
            end = (end + joined).slice(-LOOK_BACK);
        }
        gap = !piece && (gap || index % 2 === 1);
    }
    return kept;
}

/**
 * What keeps two pieces of text apart where they would run into each other, or make a box or a token.
 * @param {string} before
 * @param {string} after
 * @param {boolean} gap
 */
function seam(before, after, gap) {
    const corners = before.slice(trimEnd(before, CORNER_CHARACTERS).length);
    const inside = /[(\uff08]/.test(corners) || corners.length === LOOK_BACK;
    const next = trimStart(after, GAP_CHARACTERS)[0];
    if (inside && next && CORNER_CHARACTERS.includes(next)) return " \u2026 ";
    if (gap) return before.endsWith("\n") || `${SPACES}\n.,;:!?)。，、；：！？）`.includes(after[0]) ? "" : " ";
    return TOKEN_END.test(before) && TOKEN_START.test(after) ? " " : "";
}

/**
 * What messages show of a long text.
 * @param {string} text
 */
export function excerpt(text) {
    return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** @param {string} token */
function strayTokenMessage(token) {
    if (token === BOX_START || token === BOX_END) {
        return `${token} without a readable box: expected ${BOX_START}(x1,y1),(x2,y2)${BOX_END}.`;
    }
    if ([OBJECT_START, OBJECT_END, REFERENCE_START, REFERENCE_END].includes(token)) {
        return `${token} that does not mark a phrase directly before a box.`;
    }
    return `The special token '${excerpt(token)}' is not allowed in a chain.`;
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
