/**
 * English words around the name of an object: its article, its plural, small numbers.
 *
 * The same rules as in `got_models/chain/english.py`, which is the authority.
 */

export const ARTICLES = ["a", "an"];
const NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
const DIGITS = /^[1-9][0-9]?$/;
const AN = /^(?:[aeio]|h(?:eir|onest|onou?r|our)|u(?!ku|ni|s[aeiu]|t[ei]))/;
const DOUBTFUL = /^(?:[uh]|one|once|eu|ew)/;  // the ear decides, and it hears more than the first letter
const WORD = /^[A-Za-z][a-z]/;
/** @type {Record<string, string>} */
const IRREGULAR = {
    child: "children", deer: "deer", fish: "fish", foot: "feet", goose: "geese", human: "humans", knife: "knives",
    leaf: "leaves", loaf: "loaves", mouse: "mice", person: "people", sheep: "sheep", shelf: "shelves", tooth: "teeth",
    wolf: "wolves",
};

/**
 * The indefinite article before a word: `an` orange, `a` unicorn.
 * @param {string} word
 */
export function article(word) {
    word = word.toLowerCase();
    return AN.test(word) && !/^(?:one|once|eu|ew)/.test(word) ? "an" : "a";
}

/**
 * A phrase whose `a` or `an` fits the word behind it. Where that is not certain it stays as it is.
 * @param {string} phrase
 */
export function withArticle(phrase) {
    const gap = phrase.indexOf(" ");
    if (gap < 0) return phrase;
    const [first, rest] = [phrase.slice(0, gap), phrase.slice(gap + 1)];
    if (!ARTICLES.includes(first.toLowerCase()) || !WORD.test(rest) || DOUBTFUL.test(rest.toLowerCase())) return phrase;
    return `${capitalLike(article(rest), first)} ${rest}`;
}

/**
 * Several of what a word in lower case names.
 * @param {string} noun
 */
export function plural(noun) {
    if (Object.hasOwn(IRREGULAR, noun)) return IRREGULAR[noun];
    if (noun.endsWith("man")) return `${noun.slice(0, -2)}en`;
    if (/(?:s|x|z|ch|sh)$/.test(noun)) return `${noun}es`;
    return /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}

/**
 * The number that a word in lower case or up to two digits say.
 * @param {string} word
 * @returns {number | null}
 */
export function number(word) {
    if (DIGITS.test(word)) return Number(word);
    return NUMBERS.includes(word) ? NUMBERS.indexOf(word) + 1 : null;
}

/**
 * A number in the way in which another one is written: in digits or, up to ten, as a word.
 * @param {number} count
 * @param {string} word
 */
export function numberLike(count, word) {
    if (DIGITS.test(word) || count > NUMBERS.length) return String(count);
    return capitalLike(NUMBERS[count - 1], word);
}

/**
 * A word with a capital letter if another one has one.
 * @param {string} word
 * @param {string} other
 */
export function capitalLike(word, other) {
    const [first] = other;
    if (!first || first === first.toLowerCase()) return word;
    const [own = ""] = word;
    return own.toUpperCase() + word.slice(own.length);
}
