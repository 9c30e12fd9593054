/**
 * Coordinates in a notation that is not read: somebody meant a box there, and none will be drawn.
 *
 * The same rules as in `got_models/chain/lookalikes.py`, which is the authority.
 */

import { excerpt } from "./notation.js";

// Every repetition has an end, so that a hostile text takes no more time than another.
const GAP = "[ \\t\\n\\u00a0\\u3000]{0,9}";
const DIGIT = "[0-9\\uff10-\\uff19\\u0660-\\u0669\\u06f0-\\u06f9\\u0966-\\u096f]";
const POINT = "[.\\uff0e\\u066b]";
const FRACTION = `${POINT}${DIGIT}{1,18}`;
const NUMBER = `[-\\u2212\\uff0d]?(?:${DIGIT}{1,9}(?:${POINT}${DIGIT}{0,18})?|${FRACTION})(?: ?[%\\uff05]|px)?`;
const COMMA = "[,;|\\uff0c\\u3001\\uff1b\\u060c\\uff64\\ufe50\\ufe51\\ufe54\\uff5c]";
const COLON = "[:=\\uff1a]";
const OPEN = "\\\\?[(\\[{<\\uff08\\uff3b\\uff5b\\uff1c\\u3008\\u300a\\u300c\\u300e\\u3010\\u3014\\u3016\\u27e8\\ufe59]";
const CLOSE = "\\\\?[)\\]}>\\uff09\\uff3d\\uff5d\\uff1e\\u3009\\u300b\\u300d\\u300f\\u3011\\u3015\\u3017\\u27e9\\ufe5a]";
const QUOTE = "[\"']?";
const BETWEEN = `(?:${GAP}${COMMA}${GAP}|[ \\t\\n\\u00a0]{1,9})`;
const PAIR = `${NUMBER}${BETWEEN}${NUMBER}`;
const JOINT = `${GAP}(?:${COMMA}|[:/\\u2013\\u2014\\u2192-]|to|and|bis|und|\\u5230|\\u81f3|\\u548c)?${GAP}`;
const FOUR = `${PAIR}(?:${BETWEEN}|${GAP}${CLOSE}${GAP}${COMMA}?${GAP}${OPEN}${GAP})${PAIR}`;
const EDGE = "(?:[xy](?:_?(?:[0-2c]|min|max|start|end|center))?|c[xy]|left|top|right|bottom)";
const RANGE = `${NUMBER}(?:${GAP}(?:[-\\u2013\\u2014~]|to)${GAP}${NUMBER})?`;
const EDGE_AT =
    `${QUOTE}${EDGE}${QUOTE}${GAP}(?:(?:${COLON}|from|\\u2208)${GAP}${QUOTE}(?:${RANGE}|${OPEN}${PAIR}${CLOSE})|` +
    `${NUMBER}(?<=[%\\uff05x]))${QUOTE}`;
const CORNER =
    "(?:(?:top|upper|bottom|lower)[ _-]?(?:left|right)|(?:left|right)[ _-]?(?:top|bottom)|tl|br" +
    "|[\\u5de6\\u53f3][\\u4e0a\\u4e0b]\\u89d2?)(?: corner)?";
const NAMES =
    "bounding[ _-]?box|box|coordinates?|coords?|position|location|region" +
    "|\\u5750\\u6807|\\u8fb9\\u754c\\u6846|\\u65b9\\u6846|\\u4f4d\\u7f6e|\\u533a\\u57df";
const TAGS =
    "b?box(?:_?(?:2d|start|end))?|bounding[ _-]?box|loc|bin|coords?|coordinates?|points?|det|quad" +
    "|poly(?:gon)?|patch_index|region|ref|rect";

const LOOKALIKE = new RegExp(
    [
        "(?<box><\\|box_start\\|>[^<]{1,60}<\\|box_end\\|>)",  // what is read is none
        `(?<![a-z])(?:bbox|b?box_2d)(?:_2d)?${QUOTE}${GAP}${COLON}?(?:${GAP}${OPEN}{1,2}${FOUR}${CLOSE}{1,2})?`,
        `</?(?:${TAGS})(?:[_ ]?${DIGIT}{1,5}){0,4}(?: [^<>\\n]{0,60})?/?>`,
        `(?<![a-z])(?:${NAMES})${QUOTE}${GAP}(?:${COLON}|at|is|(?=${OPEN}))${GAP}${OPEN}{0,2}${GAP}${FOUR}`,
        `(?<![a-z])${EDGE_AT}${GAP}(?:${COMMA}|and)?${GAP}${EDGE_AT}`,
        `(?<![a-z])${CORNER}${QUOTE}${GAP}(?:${COLON}|at|is|[\\u4e3a\\u5728])${GAP}${OPEN}?${GAP}${PAIR}`,
        `<${DIGIT}{1,4}>${GAP}<${DIGIT}{1,4}>`,
        `(?<!rgba)(?<!hsla)(?<!rgba )(?<four>${OPEN}${GAP}(?:${OPEN}${GAP})?${FOUR}${GAP}${CLOSE})`,
        `${OPEN}${GAP}${PAIR}${GAP}${CLOSE}?${JOINT}${OPEN}(?:${GAP}${NUMBER}${GAP}(?:${COMMA}|$)|${GAP}$)`,
        `${OPEN}${GAP}${PAIR}${GAP}${CLOSE}${GAP}${COMMA}${GAP}${PAIR}${GAP}${CLOSE}`,
        `(?<!${DIGIT})${PAIR}${GAP}${CLOSE}${JOINT}${OPEN}${GAP}${PAIR}`,
        `${OPEN}${DIGIT}{3}${GAP}${COMMA}${GAP}${DIGIT}{3}${CLOSE}`,
        `${OPEN}0?[.]${DIGIT}{1,9}${GAP}${COMMA}${GAP}0?[.]${DIGIT}{1,9}${CLOSE}`,
        Array(4).fill(`(?<!${DIGIT})0?[.]${DIGIT}{1,9}`).join(BETWEEN),
        Array(4).fill(`(?<!${DIGIT})${DIGIT}{1,3} ?[%\\uff05]`).join(BETWEEN),
    ].join("|"),
    "giu",
);
const EXACT = new RegExp(`${POINT}|[%\\uff05]|px|${CLOSE}.*${CLOSE}`, "isu");
const NUMBERS = new RegExp(`${DIGIT}+`, "gu");
const [FIRST_YEAR, LAST_YEAR] = [1500, 2100];

/**
 * What in a canonical text looks like coordinates but is no box, as a sentence; null if nothing does.
 * @param {string} text
 */
export function coordinatesNotRead(text) {
    const found = [...text.matchAll(LOOKALIKE)].filter(isMeant).map(([written]) => written.trim());
    if (!found.length) return null;
    const more = found.length > 1 ? ` There are ${found.length - 1} more like it.` : "";
    return `'${excerpt(found[0])}' looks like coordinates, but is not read: it makes no box. Write (x1,y1),(x2,y2) in thousandths` +
        ` of the picture, right after the words that it belongs to.${more}`;
}

/**
 * Whether it is no box and, of four numbers in brackets, no list of years or of small numbers.
 * @param {RegExpMatchArray} match
 */
function isMeant({ groups: { box, four } = {} }) {
    if (box) return false;
    if (!four || EXACT.test(four)) return true;
    const values = (four.match(NUMBERS) ?? []).map(whole);
    const smallest = /^\\?[(\uff08]/.test(four) ? 100 : 10;
    return Math.max(...values) >= smallest && !values.every((value) => FIRST_YEAR <= value && value <= LAST_YEAR);
}

/**
 * The value of digits of any of the scripts above.
 * @param {string} digits
 */
function whole(digits) {
    return [...digits].reduce((value, digit) => {
        const code = digit.charCodeAt(0);
        return value * 10 + (code >= 0x966 && code <= 0x96f ? code - 0x966 : code & 0xf);
    }, 0);
}
