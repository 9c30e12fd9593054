/**
 * Where a sentence names the objects of a plan.
 *
 * The same rules as in `got_models/chain/mentions.py`, which is the authority and explains them.
 */

import { SPACES, trimEnd } from "./characters.js";
import { number, plural } from "./english.js";
import { DETERMINERS } from "./notation.js";

/**
 * What an object is called: its article or number, and its words; `verbatim` ones match as they are.
 * @typedef {{determiner: string, words: string[], verbatim: boolean}} Name
 *
 * A place [start, end) that names objects, its article or number included. `said`: in lower case, which words of their
 * names; `described`: by others as well; `definite`: "the" two; `several`: one word stands for several objects, as many
 * as `determiner` says; `objects`: numbers of names.
 * @typedef {{
 *     start: number, end: number, determiner: string, words: string, said: string[], described: boolean,
 *     definite: boolean, several: boolean, objects: number[],
 * }} Mention
 *
 * A word of a text and its place; `joined`: only spaces are between the one before and this.
 * @typedef {{text: string, lower: string, start: number, end: number, joined: boolean}} Word
 */

const PUNCTUATION =
    ".,;:!?()\\[\\]{}<>\"|/*#\u00ab\u00bb\u201c-\u201e\u2026\u3002\uff0e\uff0c\u3001\uff64\uff1b\uff1a\uff01\uff1f\uff08" +
    "\uff09\uff3b\uff3d\uff5b\uff5d\u300c-\u300f\u300a\u300b\u3008-\u3011\u3014-\u3017\uff61-\uff63\u060c\u061b\u061f" +
    "\u06d4\u0964\u0965";
export const WORD = `[^${SPACES}\\n${PUNCTUATION}]+`;
const ONE_WORD = new RegExp(`^${WORD}$`);
export const SMALL_WORDS = new Set([...DETERMINERS, ...`
    above and are at behind below beside by for from has in is it near of on over that there to under which
    who with`.trim().split(/\s+/)]);
const SPACELESS = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]/;
const COUNTED = /^[一二两三四五六七八九十几这那]?[个只条张位名朵座辆棵颗把]/;

/**
 * @param {string} phrase
 * @returns {Name}
 */
export function nameOf(phrase) {
    if (SPACELESS.test(phrase)) {
        const counted = COUNTED.exec(phrase)?.[0] ?? "";
        const start = counted.length < phrase.length ? counted.length : 0;
        return { determiner: phrase.slice(0, start), words: [phrase.slice(start)], verbatim: true };
    }
    const words = spaced(phrase);
    const start = words.length > 1 && isDeterminer(words[0]) ? 1 : 0;
    const determiner = start ? words[0] : "";
    if (words.every(isWord)) return { determiner, words: words.slice(start), verbatim: false };
    return { determiner, words: [words.slice(start).join(" ")], verbatim: true };
}

/**
 * Whether its last word is what it is, and all others only describe it.
 * @param {Name} name
 */
export function isPlain({ words, verbatim }) {
    return !verbatim && !words.some((word) => SMALL_WORDS.has(word.toLowerCase()));
}

/**
 * How many objects a mention of several names; null: it does not say.
 * @param {Mention} mention
 */
export function countOf({ determiner }) {
    return number(determiner.toLowerCase());
}

/**
 * Whether the objects of a mention can be named one by one instead.
 * @param {Mention} mention
 */
export function isCounted(mention) {
    return mention.several && countOf(mention) !== null && !mention.definite;
}

/**
 * Whether what a mention says is said of an object with this name.
 * @param {Mention} mention
 * @param {Name} name
 */
export function says({ said }, { words }) {
    const lower = words.map((word) => word.toLowerCase());
    return said.every((word) => lower.includes(word));
}

/**
 * All words of a text, without punctuation.
 * @param {string} text
 */
export function wordsOf(text) {
    /** @type {Word[]} */
    const words = [];
    let done = 0;
    for (const match of text.matchAll(new RegExp(WORD, "g"))) {
        const start = match.index;
        const joined = words.length > 0 && trimEnd(text.slice(done, start)) === "";
        done = start + match[0].length;
        words.push({ text: match[0], lower: match[0].toLowerCase(), start, end: done, joined });
    }
    return words;
}

/** @param {string} text */
export function isWord(text) {
    return ONE_WORD.test(text);
}

/**
 * What stands between the spaces of a text.
 * @param {string} text
 */
export function spaced(text) {
    return text.split(new RegExp(`[${SPACES}]+`)).filter(Boolean);
}

/**
 * Where a text names which of some objects, from left to right; each object at most once.
 *
 * Of several places the one that says most of a name counts; of equal ones the first object gets the first.
 * @param {string} text
 * @param {readonly Name[]} names
 * @param {number} more objects from this number on are new: a number in the text need not have counted them
 */
export function findMentions(text, names, more = names.length) {
    const words = wordsOf(text);
    const candidates = names.flatMap((name, index) => {
        const mentions = name.verbatim ? verbatim(text, name) : inWords(text, words, name);
        return mentions.map((mention) => ({
            mention, index, key: [-length(mention.said), Number(mention.described), index, mention.start],
        }));
    });
    candidates.sort((first, second) => {
        const place = first.key.findIndex((value, at) => value !== second.key[at]);
        return place < 0 ? 0 : first.key[place] - second.key[place];
    });
    /** @type {Mention[]} */
    const found = [];
    const named = new Set();
    for (const { mention, index } of candidates) {
        if (named.has(index)) continue;
        let there = found.find((item) => item.start < mention.end && mention.start < item.end);
        if (!there) found.push(there = mention);
        else if (!hasRoom(there, mention, index >= more)) continue;
        there.objects.push(index);
        named.add(index);
    }
    return found.sort((first, second) => first.start - second.start);
}

/**
 * Whether one more object can be among the several that a mention already names.
 * @param {Mention} there
 * @param {Mention} mention
 * @param {boolean} isNew
 */
function hasRoom(there, mention, isNew) {
    const same = there.start === mention.start && there.end === mention.end;
    if (!there.several || !mention.several || !same) return false;
    return isNew || there.objects.length < (countOf(there) ?? Infinity);
}

/**
 * All places that could name an object, in a text with spaces between its words.
 * @param {string} text
 * @param {readonly Word[]} words
 * @param {Name} name
 */
function inWords(text, words, name) {
    /** @type {Mention[]} */
    const mentions = [];
    const lower = name.words.map((word) => word.toLowerCase());
    const last = lower.pop();
    if (last === undefined) return mentions;
    const several = plural(last);
    for (const [place, word] of words.entries()) {
        if (word.lower !== last && word.lower !== several) continue;
        let [first, unsaid] = [place, lower];
        while (words[first].joined && unsaid.includes(words[first - 1].lower)) {
            first -= 1;
            unsaid = unsaid.slice(0, unsaid.lastIndexOf(words[first].lower));
        }
        const before = words[first].joined ? words[first - 1] : null;
        const determined = before !== null && isDeterminer(before.text);
        const said = [...words.slice(first, place).map((item) => item.lower), last];
        const described = before !== null && !determined;
        if (said.length < name.words.length && (!isPlain(name) || (described && said.length === 1))) continue;
        const start = before && determined ? before.start : words[first].start;
        const determiner = trimEnd(text.slice(start, words[first].start));
        const counted = number(determiner.toLowerCase()) ?? 1;
        mentions.push({
            start, end: word.end, determiner, said, words: text.slice(words[first].start, word.end),
            described,
            definite: determined && words[first - 1].joined && isDeterminer(words[first - 2].text),
            several: (number(name.determiner.toLowerCase()) ?? 1) === 1 && (word.lower !== last || counted > 1),
            objects: [],
        });
    }
    return mentions;
}

/**
 * All places where the words of a name stand as they are, and not inside others.
 * @param {string} text
 * @param {Name} name
 */
function verbatim(text, { determiner, words: [words] }) {
    /** @type {Mention[]} */
    const mentions = [];
    for (let start = text.indexOf(words); start >= 0; start = text.indexOf(words, start + words.length)) {
        const end = start + words.length;
        if (goesOn(words, text, start - 1) || goesOn(words, text, end)) continue;
        const before = trimEnd(text.slice(0, start));
        let begin = before.length - determiner.length;
        const told = begin >= 0 && before.slice(begin).toLowerCase() === determiner.toLowerCase();
        if (!determiner || !told || goesOn(words, text, begin - 1)) begin = start;
        mentions.push({
            start: begin, end, determiner: trimEnd(text.slice(begin, start)), words, said: [words], described: false,
            definite: false, several: false, objects: [],
        });
    }
    return mentions;
}

/**
 * Whether the character at a place beside words belongs to them, where words stand between spaces.
 * @param {string} words
 * @param {string} text
 * @param {number} place
 */
function goesOn(words, text, place) {
    const neighbour = text[place] ?? "";
    return isWord(neighbour) && !(SPACELESS.test(words) && SPACELESS.test(neighbour));
}

/**
 * Whether a word is an article, a number or the like.
 * @param {string} word
 */
function isDeterminer(word) {
    return DETERMINERS.has(word.toLowerCase()) || number(word.toLowerCase()) !== null;
}

/** @param {readonly string[]} words */
function length(words) {
    return words.reduce((sum, word) => sum + word.length, 0);
}
