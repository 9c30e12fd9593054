/** Which characters a chain is made of: Unicode's composed form (NFC), and nothing that nobody can see. */

/** All that is a gap between two words of one line. */
export const SPACES = " \t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000";

const LINE_END = /\r\n?|[\x0b\x0c\x85\u2028\u2029]/g;
// Control characters, zero-width spaces and marks of writing direction. Joiners stay: emoji need them.
const INVISIBLE = new RegExp(
    "[\\x00-\\x08\\x0e-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u202a-\\u202e\\u2060-\\u206f\\ufeff]", "g",
);
// On one letter, as in Unicode's stream-safe format: NFC takes quadratic time for more.
const TOO_MANY_MARKS = /(\p{M}{30})\p{M}+/gu;
/**
 * The text in NFC, the form in which the tokenizer reads it, in linear time.
 * @param {string} text
 */
export function composed(text) {
    // twice: NFC takes a few characters apart
    return text.replace(TOO_MANY_MARKS, "$1").normalize("NFC").replace(TOO_MANY_MARKS, "$1");
}

/**
 * The text in NFC, with line feeds for line ends, and without control and zero-width characters.
 * @param {string} text
 */
export function clean(text) {
    return composed(text.replace(LINE_END, "\n").replace(INVISIBLE, ""));
}

/**
 * Where in a text the character stands that is number `position` of its clean form.
 * @param {string} text
 * @param {number} position
 */
export function placeInOriginal(text, position) {
    if (clean(text) === text) return position;
    let [low, high] = [0, text.length];
    while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if (clean(text.slice(0, middle)).length <= position) low = middle;
        else high = middle - 1;
    }
    return low;
}

/**
 * The text without gaps and line feeds at its ends.
 * @param {string} text
 */
export function trim(text) {
    return trimStart(trimEnd(text, `${SPACES}\n`), `${SPACES}\n`);
}

// Loops, because a regular expression takes quadratic time for a long gap in the middle.

/** @param {string} text */
export function trimStart(text, characters = SPACES) {
    let start = 0;
    while (start < text.length && characters.includes(text[start])) start += 1;
    return text.slice(start);
}

/** @param {string} text */
export function trimEnd(text, characters = SPACES) {
    let end = text.length;
    while (end > 0 && characters.includes(text[end - 1])) end -= 1;
    return text.slice(0, end);
}
