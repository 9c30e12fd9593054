/**
 * Words of a plan outside its boxes, such as its background: where they change, so does the prompt.
 *
 * The same rules as in `got_models/chain/rewording.py`, which is the authority and explains them.
 */

import { SPACES, trim, trimEnd } from "./characters.js";
import { capitalLike } from "./english.js";
import { isWord, SMALL_WORDS, WORD, wordsOf } from "./mentions.js";
import { unmarked } from "./notation.js";
import { BACKGROUND, SENTENCE_MARK } from "./sentences.js";

/**
 * @typedef {import("./chain.js").Chain} Chain
 * @typedef {import("./mentions.js").Word} Word
 *
 * @typedef {readonly [number, number]} Range
 */

const OBJECT = "\n";  // stands for it among words, and is none
const TOKEN = new RegExp(`${WORD}|[^${SPACES}]`, "gu");
const MOST_COMPARISONS = 1_000_000;

/**
 * The prompt with what has changed between the boxes of a plan, and in words what it does not follow.
 * @param {string} prompt
 * @param {Chain} before
 * @param {Chain} after
 * @param {readonly Range[]} objects where the prompt names objects; those places stay as they are
 */
export function reworded(prompt, before, after, objects) {
    const words = wordsOf(prompt).map((word) =>
        (objects.some(([start, end]) => start < word.end && word.start < end) ? { ...word, lower: "" } : word));
    const [old, now] = [tokens(before), tokens(after)];
    /** @type {[number, number, string][]} */
    const edits = [];
    /** @type {string[]} */
    const missed = [];
    for (let [[goneFrom, goneTo], [comeFrom, comeTo]] of differences(lower(old), lower(now))) {
        let [gone, come] = [old.slice(goneFrom, goneTo), now.slice(comeFrom, comeTo)];
        const both = [...gone, ...come];
        if (!both.every(isWord) || both.every(isSmall)) continue;
        let places;
        for (;;) {
            const left = lower(old.slice(Math.max(goneFrom - 2, 0), goneFrom));
            places = placesOf(words, left, lower(gone), lower(old.slice(goneTo, goneTo + 1)));
            if (places.length || !gone.length || !come.length || !isSmall(gone[0]) || !isSmall(come[0])) break;
            [gone, come, goneFrom] = [gone.slice(1), come.slice(1), goneFrom + 1];
        }
        if (places.length === 1) {
            edits.push(edit(words, places[0], gone.length, come));
        } else if (gone.length && lower(gone).every((other) => words.some((word) => word.lower === other))) {
            missed.push(`The prompt still says '${gone.join(" ")}'. Change it by hand if it should change too.`);
        }
    }
    edits.sort((first, second) => second[0] - first[0] || second[1] - first[1]);
    for (const [start, end, text] of edits) prompt = prompt.slice(0, start) + text + prompt.slice(end);
    if (before.task === "generate") prompt = withBackground(prompt, before, after);
    return { prompt, missed };
}

/**
 * The words and other signs of a chain's text, with one sign in the place of each object.
 * @param {Chain} chain
 */
function tokens({ text, regions }) {
    const found = [];
    let done = 0;
    for (const [start, end] of [...regions.map(({ span }) => span), [text.length, text.length]]) {
        found.push(...(text.slice(done, start).match(TOKEN) ?? []), OBJECT);
        done = end;
    }
    return found;
}

/**
 * The ranges of two lists in which they differ, where as much as possible of both is the same.
 * @param {string[]} first
 * @param {string[]} second
 */
function differences(first, second) {
    let start = 0;
    while (start < Math.min(first.length, second.length) && first[start] === second[start]) start += 1;
    let [firstEnd, secondEnd] = [first.length, second.length];
    while (Math.min(firstEnd, secondEnd) > start && first[firstEnd - 1] === second[secondEnd - 1]) {
        firstEnd -= 1;
        secondEnd -= 1;
    }
    const [rows, columns] = [firstEnd - start, secondEnd - start];
    /** @type {[Range, Range][]} */
    const ranges = [];
    if (rows * columns > MOST_COMPARISONS) return ranges;
    const common = Array.from({ length: rows + 1 }, () => new Uint16Array(columns + 1));  // of what is left from there on
    const same = (/** @type {number} */ i, /** @type {number} */ j) => first[start + i] === second[start + j];
    for (let i = rows - 1; i >= 0; i -= 1) {
        for (let j = columns - 1; j >= 0; j -= 1) {
            common[i][j] = same(i, j) ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
        }
    }
    let [i, j] = [0, 0];
    while (i < rows || j < columns) {
        const [fromI, fromJ] = [i, j];
        while ((i < rows || j < columns) && !(i < rows && j < columns && same(i, j))) {
            if (j === columns || (i < rows && common[i + 1][j] >= common[i][j + 1])) i += 1;
            else j += 1;
        }
        if (i > fromI || j > fromJ) ranges.push([[start + fromI, start + i], [start + fromJ, start + j]]);
        else [i, j] = [i + 1, j + 1];
    }
    return ranges;
}

/**
 * Which words of a prompt are those that have gone, between the same others.
 * @param {readonly Word[]} words
 * @param {readonly string[]} left
 * @param {readonly string[]} gone
 * @param {readonly string[]} right
 */
function placesOf(words, left, gone, right) {
    const places = [];
    for (let place = 0; place <= words.length - gone.length; place += 1) {
        const end = place + gone.length;
        if (!gone.every((word, at) => words[place + at].lower === word && (!at || words[place + at].joined))) continue;
        const behind = end < words.length && words[end].joined && right.length === 1 && words[end].lower === right[0];
        const nearest = words.slice(Math.max(place - 2, 0), place);
        const joined = [...nearest.slice(1), ...words.slice(place, place + 1)].every((word) => word.joined);
        const before = joined && nearest.length === 2 && left.length === 2 &&
            nearest.every((word, at) => word.lower === left[at]);
        const justBefore = place > 0 && end < words.length && words[place].joined &&
            words[place - 1].lower === left.at(-1);
        if (gone.length ? behind || before : behind && justBefore) places.push(place);
    }
    return places;
}

/**
 * The range of a prompt to be replaced, and its new text.
 * @param {readonly Word[]} words
 * @param {number} place
 * @param {number} gone how many words
 * @param {readonly string[]} come
 * @returns {[number, number, string]}
 */
function edit(words, place, gone, come) {
    const text = come.join(" ");
    if (!gone) return [words[place].start, words[place].start, `${text} `];
    const last = words[place + gone - 1];
    if (come.length) return [words[place].start, last.end, capitalLike(text, words[place].text)];
    const next = words[place + gone];
    if (next?.joined) return [words[place].start, next.start, ""];
    return [place ? words[place - 1].end : words[place].start, last.end, ""];
}

/**
 * The prompt with the background of a plan, if that is a new one and the prompt speaks of none.
 * @param {string} prompt
 * @param {Chain} before
 * @param {Chain} after
 */
function withBackground(prompt, before, after) {
    const [old] = BACKGROUND.exec(unmarked(before.text)) ?? [""];
    const [now] = BACKGROUND.exec(unmarked(after.text)) ?? [""];
    if (!now || now.toLowerCase() === old.toLowerCase() || prompt.toLowerCase().includes("background")) return prompt;
    const words = trim(now);
    const end = SENTENCE_MARK.exec(prompt)?.index ?? trimEnd(prompt).length;
    return `${prompt.slice(0, end)} ${words.slice(0, 1).toLowerCase()}${words.slice(1)}${prompt.slice(end)}`;
}

/** @param {string} word */
function isSmall(word) {
    return SMALL_WORDS.has(word.toLowerCase());
}

/** @param {readonly string[]} words */
function lower(words) {
    return words.map((word) => word.toLowerCase());
}
