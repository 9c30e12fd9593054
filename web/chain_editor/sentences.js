/**
 * Objects in a sentence: one more, one fewer or another one, and the sentence stays sound.
 *
 * The same rules as in `got_models/chain/sentences.py`, which is the authority and explains them.
 */

import { SPACES, trimEnd, trimStart } from "./characters.js";
import { number } from "./english.js";
import { DETERMINERS, OBJECT_START } from "./notation.js";

/**
 * Objects side by side: their places among all, as they were, and as they are to be; the text between.
 * @typedef {{places: number[], before: string[], joints: string[], now: string[]}} Row
 */

const S = `[${SPACES}]`;
const AND = "(?:and|und|et|y|e|&)";
const RELATION =
    "(?:(?:to|on|at) the (?:left|right)(?: side)? of|(?:left|right) of|in front of|on top of|next to|above|over|below" +
    "|underneath|under|beneath|behind|beside|near|inside|with|by|in|on|at|against|around)";
const BESIDE_IT = `,?${S}+and${S}+${RELATION}${S}+(?:it|them)${S}+`;
const JOINT = new RegExp(
    `^(?:[,;]${S}+(?:${AND}${S}+)?|${S}+${AND}${S}+|[，、]?${S}*[和与及と]${S}*|[，、]${S}*|[,;]?${S}*\\n${S}*` +
    `|${BESIDE_IT})$`,
);
export const ANY_BESIDE_IT = new RegExp(BESIDE_IT, "g");
const ONLY_BESIDE_IT = new RegExp(`^${BESIDE_IT}$`);
const COMMAS = ",;，、";
const NO_WORDS = `${SPACES}\n${COMMAS}`;
const RELATED = new RegExp(`${S}+${RELATION}${S}+$`, "i");
const ONLY_RELATED = new RegExp(`^${RELATED.source}`, "i");
const VERB_ALONE = /\b(?:is|are|was|were|be)$/i;
const RELATED_FIRST = new RegExp(`(?:^|(?<=[.!?\\n])${S}*)${RELATION}${S}+$`, "i");
const THERE_IS_BETWEEN = new RegExp(`^,?${S}+there${S}+(?:is|are)${S}+$`, "i");
const THERE_IS = new RegExp(`(?<there>\\bthere${S}+)(?<verb>is|are)(?<gap>${S}+)$`, "i");
const SENTENCE_OF_ITS_OWN = new RegExp(`(?:^|(?<=[.!?])${S}+)there${S}+(?:is|are)${S}+(?:also${S}+)?$`, "i");
const AFTERTHOUGHT = new RegExp(`(?:,${S}+(?:and${S}+)?|，(?:还有)?|、)$`);
export const SENTENCE_MARK = new RegExp(`[.!?](?=[${SPACES}\\n]|$)|[。！？]|\\n`);
const MARK_HERE = new RegExp(`^(?:${SENTENCE_MARK.source})`);
export const BACKGROUND = new RegExp(
    `(?:^|${S})(?:on|against|in${S}front${S}of)${S}(?:[^${SPACES}\\n,.;]+${S}){0,5}?background\\b`, "i",
);
const EAST_ASIAN = /[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]/;
const KANA = /[\u3040-\u30ff]/;
const FIRST_WORD = new RegExp(`^(?:${OBJECT_START.replaceAll("|", "\\|")})?([^${SPACES}\\n]*)`);
const SINGULAR = ["a", "an", "one", "another"];
const MANY = ["some", "several", "many", "these", "those"];

/**
 * The text with other objects in it, and which of the objects that were to go its sentence cannot do without: those
 * stay.
 * @param {string} text
 * @param {readonly (readonly [number, number])[]} spans where the text names objects now, from left to right
 * @param {readonly (readonly string[])[]} objects for each of these what is to stand there: itself, another, several, or
 * nothing
 * @param {readonly (readonly [number, string])[]} added more objects, each with the number of the one that it is to stand
 * before; where that is not in the last row, it stands at the end
 * @param {boolean} related whether relations such as "to the left of" still hold; else their objects become a row
 * @returns {{text: string, stay: number[]}}
 */
export function withObjects(text, spans, objects, added = [], related = true) {
    const { rows, between } = rowsOf(text, spans, related);
    /** @type {number[]} */
    const stay = [];
    const last = rows.at(-1);
    if (last) last.now = last.places.flatMap((place) => objects[place]);
    const inside = last?.now.length && takesMore(last, between) ? last.places : [];
    const rest = added.filter(([place]) => !inside.includes(place)).map(([, words]) => words);
    for (const row of rows) {
        row.now = row.places.flatMap((place) => {
            const before = inside.includes(place) ? added.filter(([number]) => number === place) : [];
            return [...before.map(([, words]) => words), ...objects[place]];
        });
    }
    for (const row of rows.filter(({ now }) => !now.length)) {
        if (drop(rows, between, rows.indexOf(row))) continue;
        row.now = [...row.before];
        stay.push(...row.places);
    }
    const final = rows.at(-1);
    if (rest.length && final && takesMore(final, between)) final.now.push(...rest);
    else if (rest.length) between.push(withMore(between.pop() ?? "", rest, final !== undefined));
    const pieces = rows.map((row, place) => agreeing(between[place], row) + rowText(row));
    return { text: pieces.join("") + between.at(-1), stay };
}

/** @param {Row} row */
function rowText(row) {
    const kept = row.now.length === row.before.length && row.now.length === row.joints.length + 1;
    const joints = kept ? row.joints : newJoints(row);
    return row.now.map((words, place) => (place ? joints[place - 1] : "") + words).join("");
}

/** @param {Row} row */
function newJoints({ before, joints, now }) {
    const eastAsian = EAST_ASIAN.test(now.join(""));
    joints = joints.filter((joint) => !ONLY_BESIDE_IT.test(joint));
    const comma = joints.find((joint) => !hasWords(joint)) ?? (eastAsian ? "、" : ", ");
    let last = joints.at(-1);
    if (last === undefined) {
        const english = [...before, ...now].some((words) => DETERMINERS.has(firstWord(words)));
        last = eastAsian ? "和" : english ? " and " : ", ";
    }
    if (now.length === 2 && hasWords(last)) last = trimStart(last, COMMAS);
    return [...Array(Math.max(now.length - 2, 0)).fill(comma), last];
}

/** @param {string} joint */
function hasWords(joint) {
    return trimEnd(joint, NO_WORDS) !== "";
}

/**
 * All rows of a text, and what stands before, between and after them.
 * @param {string} text
 * @param {readonly (readonly [number, number])[]} spans
 * @param {boolean} related
 */
function rowsOf(text, spans, related) {
    /** @type {Row[]} */
    const rows = [];
    /** @type {string[]} */
    const between = [];
    let done = 0;
    for (const [place, [start, end]] of spans.entries()) {
        const gap = text.slice(done, start);
        const last = rows.at(-1);
        /** @type {string | null} */
        const opening = last && !related ? openingOf(between[between.length - 1], gap, last) : null;
        if (last && JOINT.test(gap)) {
            last.joints.push(gap);
        } else if (opening !== null) {
            between[between.length - 1] = opening;
        } else {
            between.push(gap);
            rows.push({ places: [], before: [], joints: [], now: [] });
        }
        rows.at(-1)?.places.push(place);
        rows.at(-1)?.before.push(text.slice(start, end));
        done = end;
    }
    return { rows, between: [...between, text.slice(done)] };
}

/**
 * The text before a row without its relation to the next object; null: there is no relation.
 * @param {string} before
 * @param {string} gap
 * @param {Row} row
 */
function openingOf(before, gap, row) {
    const first = RELATED_FIRST.exec(before);
    if (row.before.length === 1 && first && THERE_IS_BETWEEN.test(gap)) return before.slice(0, first.index);
    return ONLY_RELATED.test(gap) ? before : null;
}

/**
 * Takes a row out, with the words that relate it to others; says whether the sentence allows it.
 * @param {Row[]} rows
 * @param {string[]} between
 * @param {number} place
 */
function drop(rows, between, place) {
    const [before, after] = [between[place], between[place + 1]];
    const first = RELATED_FIRST.exec(before);
    const related = RELATED.exec(before);
    const own = SENTENCE_OF_ITS_OWN.exec(before);
    const afterthought = AFTERTHOUGHT.exec(before);
    const opening = place ? RELATED_FIRST.exec(between[place - 1]) : null;
    const follows = place + 1 < rows.length;
    let joined;
    if (follows && first && THERE_IS_BETWEEN.test(after)) {  // above [a cat] there is a dog
        joined = before.slice(0, first.index);
    } else if (opening && THERE_IS_BETWEEN.test(before)) {  // above a cat there is [a dog]
        between[place - 1] = between[place - 1].slice(0, opening.index);
        joined = after;
    } else if (related && (place || related.index) && !VERB_ALONE.test(before.slice(0, related.index))) {
        joined = before.slice(0, related.index) + after;  // a cat on [a sofa]
    } else if (follows && ONLY_RELATED.test(after)) {  // [a cat] on a sofa
        joined = before;
    } else if (rows.length > 1 && own && /^[.!?]/.test(after)) {  // There is also [a cat].
        joined = before.slice(0, own.index) + after.slice(1);
    } else if (rows.length > 1 && afterthought && ends(after)) {  // a dog sleeping, and [a cat]
        joined = before.slice(0, afterthought.index) + after;
    } else {
        return false;
    }
    between.splice(place, 2, joined);
    rows.splice(place, 1);
    return true;
}

/**
 * Whether the last row can grow: it is a real one, or its object ends a sentence of its own.
 * @param {Row} row
 * @param {readonly string[]} between
 */
function takesMore(row, between) {
    if (row.before.length > 1 || row.now.length > 1) return true;
    const before = between[between.length - 2];
    const alone = between.length === 2 || SENTENCE_MARK.test(before);
    return alone && ends(between[between.length - 1]);
}

/**
 * Whether a sentence ends here, or goes on with nothing but its background.
 * @param {string} after
 */
function ends(after) {
    const rest = trimStart(after);
    return rest === "" || MARK_HERE.test(rest) || BACKGROUND.exec(after)?.index === 0;
}

/**
 * A text with more objects behind its first sentence.
 * @param {string} text
 * @param {readonly string[]} added
 * @param {boolean} goesOn other objects stand before it
 */
function withMore(text, added, goesOn) {
    const listed = rowText({ places: [], before: [], joints: [], now: [...added] });
    const english = DETERMINERS.has(firstWord(added[0]));
    const end = SENTENCE_MARK.exec(text)?.index ?? trimEnd(text).length;
    let [sentence, rest] = [text.slice(0, end), text.slice(end)];
    if (/^[.!?]/.test(rest)) {
        const verb = added.length > 1 || isMany(added[0]) ? "are" : "is";
        return `${sentence}${rest[0]} ${english ? `There ${verb} also ` : ""}${listed}.${rest.slice(1)}`;
    }
    const background = BACKGROUND.exec(sentence);
    if (background && background.index + background[0].length === sentence.length) {
        [sentence, rest] = [sentence.slice(0, background.index), sentence.slice(background.index) + rest];
    }
    let joint = english ? ", and " : ", ";
    if (EAST_ASIAN.test(listed)) joint = KANA.test(listed) ? "、" : "，还有";
    return `${trimEnd(sentence, COMMAS)}${goesOn || sentence ? joint : ""}${listed}${rest}`;
}

/**
 * The text before a row, its "there is" or "there are" in agreement with it.
 * @param {string} before
 * @param {Row} row
 */
function agreeing(before, row) {
    const found = THERE_IS.exec(before);
    const changed = row.now.length !== row.before.length || row.now.some((words, place) => words !== row.before[place]);
    if (!found?.groups || !changed) return before;
    let { there, verb, gap } = found.groups;
    if (row.now.length > 1 || isMany(row.now[0])) verb = "are";
    else if (SINGULAR.includes(firstWord(row.now[0]))) verb = "is";
    return `${before.slice(0, found.index)}${there}${verb}${gap}`;
}

/** @param {string} words */
function firstWord(words) {
    return FIRST_WORD.exec(words)?.[1].toLowerCase() ?? "";
}

/** @param {string} words */
function isMany(words) {
    const first = firstWord(words);
    return MANY.includes(first) || (number(first) ?? 1) > 1;
}
