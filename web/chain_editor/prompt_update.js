/**
 * The prompt, brought up to date with a plan that a person has changed.
 *
 * The same rules as in `got_models/chain/prompt_update.py`, which is the authority and explains them.
 */

import { composed } from "./characters.js";
import { ARTICLES, article, capitalLike, number, numberLike, plural } from "./english.js";
import { countOf, findMentions, isCounted, isPlain, nameOf, says, spaced } from "./mentions.js";
import { reworded } from "./rewording.js";
import { ANY_BESIDE_IT, withObjects } from "./sentences.js";

/**
 * @typedef {import("./chain.js").Chain} Chain
 * @typedef {import("./mentions.js").Mention} Mention
 * @typedef {import("./mentions.js").Name} Name
 * @typedef {import("./notation.js").Region} Region
 *
 * What an object was called before and is called now; null where it was not there, or is not any more. `place`: its
 * number in the new plan; -1: it is not there.
 * @typedef {{before: string | null, after: string | null, place: number}} Change
 */

const LONGEST_QUOTE = 60;

/**
 * The prompt of `before`, changed as `before` was changed to become `after`; and in sentences for the artist, which
 * changes of the plan it does not follow. Objects are the same in both plans where their boxes have the same colour.
 * @param {string} prompt
 * @param {Chain} before
 * @param {Chain} after
 * @returns {{prompt: string, missed: string[]}}
 */
export function updatedPrompt(prompt, before, after) {
    prompt = composed(prompt);
    const changes = changesOf(before.regions, after.regions);
    const named = findMentions(prompt, changes.map((change) => nameOf(change.before ?? "")));
    const words = reworded(prompt, before, after, named.map(({ start, end }) => [start, end]));
    const [relations, left] = [before, after].map(({ text }) => text.match(ANY_BESIDE_IT)?.length ?? 0);
    if (left >= relations && changes.every(isNone)) return words;
    const objects = withChanges(words.prompt, changes, before.task, left >= relations);
    return { prompt: objects.prompt, missed: [...words.missed, ...objects.missed] };
}

/** @param {Change} change */
function isNone({ before, after }) {
    return before !== null && after !== null && before.toLowerCase() === after.toLowerCase();
}

/**
 * What has become of each object, and then the new ones.
 * @param {readonly Region[]} before
 * @param {readonly Region[]} after
 */
function changesOf(before, after) {
    const named = [...before.entries()].filter(([, { phrase }]) => phrase);
    const places = new Map(named.map(([place, { color }]) => [color, place]));
    const now = before.map(() => -1);
    /** @type {number[]} */
    const added = [];
    let last = -1;
    for (const [count, { color, phrase }] of after.entries()) {
        const place = places.get(color) ?? -1;
        const same = place >= 0 && before[place].phrase === phrase;
        if (phrase && (place > last || same)) {  // else a new object has the colour of one that has gone
            now[place] = count;
            last = Math.max(last, place);
        } else if (phrase) {
            added.push(count);
        }
    }
    for (const [place, { phrase }] of before.entries()) {  // a box that was typed anew may have got another colour
        const twin = added.find((count) => after[count].phrase === phrase);
        if (now[place] >= 0 || twin === undefined) continue;
        now[place] = twin;
        added.splice(added.indexOf(twin), 1);
    }
    /** @type {Change[]} */
    const changes = named.map(([place, { phrase }]) =>
        ({ before: phrase, after: after[now[place]]?.phrase ?? null, place: now[place] }));
    return [...changes, ...added.map((count) => ({ before: null, after: after[count].phrase, place: count }))];
}

/**
 * The prompt with other objects in it, and what it does not follow.
 * @param {string} prompt
 * @param {readonly Change[]} changes
 * @param {string} task
 * @param {boolean} related
 */
function withChanges(prompt, changes, task, related) {
    const names = changes.map(({ before, after }) => nameOf(before || after || ""));
    const mentions = findMentions(prompt, names, changes.filter(({ before }) => before !== null).length);
    const named = new Map(mentions.flatMap((mention, place) => mention.objects.map((index) => [index, place])));
    /** @type {string[]} */
    const missed = [];
    /** @type {[number, string][]} */
    const added = [];
    for (const [index, change] of changes.entries()) {
        if (named.has(index) || isNone(change) || !change.after) continue;
        if (change.before !== null) {
            missed.push(`The prompt does not name ${quoted(change.before)}: it is left unchanged.`);
        } else if (task === "edit") {
            missed.push(`The instruction does not say what to do with ${quoted(change.after)}. Add it by hand.`);
        } else {
            const earlier = [...named.keys()].filter((other) => changes[other].place >= 0 && changes[other].place < change.place)
                .sort((first, second) => changes[second].place - changes[first].place)[0];
            const place = named.get(earlier) ?? -1;
            const between = place >= 0 && mentions[place].objects.some((other) => changes[other].place > change.place);
            const beside = between ? place : place + 1;
            // between or before objects that one word names
            if (between || (beside < mentions.length && isCounted(mentions[beside]))) mentions[beside].objects.push(index);
            else added.push([beside, change.after]);
        }
    }
    const textOf = (/** @type {Mention} */ { start, end }) => prompt.slice(start, end);
    const objects = mentions.map((mention) => {
        const now = nowAt(mention, textOf(mention), names, changes);
        if (!now) missed.push(`The prompt says ${quoted(textOf(mention))}, which cannot be changed by itself. Fix it by hand.`);
        return now ?? [textOf(mention)];
    });
    const { text, stay } = withObjects(prompt, mentions.map(({ start, end }) => [start, end]), objects, added, related);
    for (const place of stay) {
        missed.push(`The prompt still names ${quoted(textOf(mentions[place]))}, which its sentence needs. Fix it by hand.`);
    }
    return { prompt: capitalLike(text, prompt), missed };
}

/**
 * What is to stand in the place of a mention; null where its words do not allow it.
 * @param {Mention} mention
 * @param {string} text
 * @param {readonly Name[]} names
 * @param {readonly Change[]} changes
 */
function nowAt(mention, text, names, changes) {
    if (mention.several) return severalAt(mention, text, names, changes);
    const [index] = mention.objects;
    const change = changes[index];
    if (isNone(change) || change.before === null) return [text];
    if (change.after === null) return [];
    const [old, now] = [names[index], nameOf(change.after)];
    const words = newWords(mention, old, now);
    if (!words.length) return null;
    let { determiner } = mention;
    if (countsOtherwise(mention, old, now)) determiner = capitalLike(now.determiner, determiner);
    const isArticle = ARTICLES.includes(determiner.toLowerCase());
    if (isArticle && words[0].toLowerCase() !== spaced(mention.words)[0].toLowerCase()) {
        determiner = capitalLike(article(words[0]), determiner);
    }
    if (!determiner && mention.words[0] !== old.words[0][0]) words[0] = capitalLike(words[0], mention.words);
    const gap = mention.determiner ? text.slice(mention.determiner.length, text.length - mention.words.length) : " ";
    return [determiner ? `${determiner}${gap}${words.join(" ")}` : words.join(" ")];
}

/**
 * What becomes of "two red circles" when some of them change, in the new plan's order. The first of them may still be
 * counted, if no more than one other follows.
 * @param {Mention} mention
 * @param {string} text
 * @param {readonly Name[]} names
 * @param {readonly Change[]} changes
 */
function severalAt(mention, text, names, changes) {
    const single = [...spaced(mention.words).slice(0, -1), mention.said[mention.said.length - 1]];
    /** @type {string[][]} */
    const now = [];
    for (const index of mention.objects.toSorted((first, second) => changes[first].place - changes[second].place)) {
        const change = changes[index];
        if (isNone(change) || (change.before === null && says(mention, names[index]))) now.push(single);
        else if (change.after && change.before !== null) now.push(newWords(mention, names[index], nameOf(change.after)));
        else if (change.after) now.push(names[index].words);
    }
    if (now.some((words) => !words.length)) return null;
    const [size, count] = [mention.objects.length, countOf(mention)];
    const asBefore = now.length > 0 && now.every((words) => isSame(words, single)) && (now.length > 1 || size === 1);
    if (asBefore && (count === null || (now.length === size && size <= count))) return [text];
    if (!now.length) return [];
    const uneven = !now.every((words) => isSame(words, now[0])) || (now.length === 1 && size > 1);
    if (uneven && (count === null || mention.definite)) return null;
    if (count === null) {
        const determiner = mention.determiner ? [mention.determiner] : [];
        return [[...determiner, ...now[0].slice(0, -1), plural(now[0][now[0].length - 1])].join(" ")];
    }
    const other = now.findIndex((words) => !isSame(words, now[0]));
    const first = other < 0 ? now.length : other;
    if (now.length - first > 1) return now.map((words, place) => counted(1, words, mention, place === 0));
    return [counted(first, now[0], mention, true), ...now.slice(first).map((words) => counted(1, words, mention, false))];
}

/**
 * So many of something, in the way in which a mention counts.
 * @param {number} count
 * @param {readonly string[]} words
 * @param {Mention} mention
 * @param {boolean} first
 */
function counted(count, words, { determiner }, first) {
    const like = first ? determiner : determiner.toLowerCase();
    if (count === 1) return [capitalLike(article(words[0]), like), ...words].join(" ");
    return [numberLike(count, like), ...words.slice(0, -1), plural(words[words.length - 1])].join(" ");
}

/**
 * The words of a new name, without those of the old one that the mention left out; none: not clear.
 * @param {Mention} mention
 * @param {Name} old
 * @param {Name} now
 */
function newWords({ said }, old, now) {
    if (said.length === old.words.length) return [...now.words];
    if (!isPlain(now)) return [];
    const unsaid = old.words.map((word) => word.toLowerCase()).filter((word) => !said.includes(word));
    return now.words.filter((word) => !unsaid.includes(word.toLowerCase()));
}

/**
 * Whether the article or number of a new name says something that the mention does not.
 * @param {Mention} mention
 * @param {Name} old
 * @param {Name} now
 */
function countsOtherwise({ determiner }, old, now) {
    const [first, second] = [old.determiner.toLowerCase(), now.determiner.toLowerCase()];
    if (first === second || !second || (ARTICLES.includes(first) && ARTICLES.includes(second))) return false;
    return determiner !== "" || (number(second) ?? 1) > 1;
}

/**
 * @param {readonly string[]} first
 * @param {readonly string[]} second
 */
function isSame(first, second) {
    return first.length === second.length && first.every((word, place) => word === second[place]);
}

/** @param {string} words */
function quoted(words) {
    const characters = [...words];
    if (characters.length <= LONGEST_QUOTE) return `'${words}'`;
    return `'${characters.slice(0, LONGEST_QUOTE - 3).join("")}...'`;
}
