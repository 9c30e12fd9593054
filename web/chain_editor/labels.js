/**
 * Where the labels of boxes stand: beside the objects, not over them, and never over each other.
 *
 * A label says a number and words. Where there is no room for the words it says the number alone, which also stands in
 * the prose.
 */

/**
 * A rectangle in pixels of the picture as it is shown.
 * @typedef {{left: number, top: number, right: number, bottom: number}} Rectangle
 *
 * @typedef {object} Wanted what a label is for, and its width with words and with the number alone
 * @property {Rectangle} box
 * @property {number} full
 * @property {number} short
 * @property {boolean} first whether it is placed before others, and never without words
 * @property {Place | null} kept where it stands already and stays
 *
 * @typedef {{left: number, top: number, width: number, short: boolean}} Place
 */

export const LABEL_HEIGHT = 20;
const GAP = 3;  // between a label and its box
const MOST_HIDDEN = 0.05;  // parts of boxes that words may hide, before a label goes without them
const NEIGHBOUR = 1.5;  // how much worse it is to hide another object than one's own
const COVERED = 1000;  // and how bad to hide another label
const STEP = 5;
const MOST_STEPS = 12;

/**
 * @param {readonly Wanted[]} wanted
 * @param {{width: number, height: number}} picture in pixels
 * @returns {Place[]} in the order of `wanted`
 */
export function placeLabels(wanted, picture) {
    /** @type {Map<Wanted, Place>} */
    const places = new Map(wanted.flatMap((label) => (label.kept ? [[label, label.kept]] : [])));
    const taken = [...places.values()].map(({ left, top, width }) => rectangleAt(left, top, width));
    const others = wanted.filter(({ kept }) => !kept);
    const inTurn = [...others.filter(({ first }) => first), ...others.filter(({ first }) => !first)];
    for (const label of inTurn) {
        const { rectangle, short } = bestPlace(label, wanted, taken, picture);
        taken.push(rectangle);
        const { left, top, right } = rectangle;
        places.set(label, { left, top, width: right - left, short });
    }
    return wanted.map((label) => /** @type {Place} */ (places.get(label)));
}

/**
 * @param {Wanted} label
 * @param {readonly Wanted[]} all
 * @param {readonly Rectangle[]} taken
 * @param {{width: number, height: number}} picture
 */
function bestPlace(label, all, taken, picture) {
    const full = Math.min(label.full, picture.width);
    let best = { rectangle: rectangleAt(0, 0, label.short), short: true, cost: Infinity };
    /** @type {(width: number, starts: readonly number[][]) => void} */
    const choose = (width, starts) => {
        for (const [turn, [x, y]] of starts.entries()) {
            const left = clamp(x, picture.width - width);
            const rectangle = rectangleAt(left, clamp(y, picture.height - LABEL_HEIGHT), width);
            const cost = badness(rectangle, label, all, taken) + turn / 1000;  // a little better than the next one
            if (cost < best.cost) best = { rectangle, short: width === label.short, cost };
        }
    };
    choose(full, startsAround(label.box, full));
    if (label.first) return best;
    if (best.cost > MOST_HIDDEN) choose(label.short, startsAround(label.box, label.short));
    if (best.cost > COVERED) choose(label.short, startsNear(label.box, label.short));
    return best;
}

/**
 * What a label would hide: parts of the boxes, and far worse, of other labels.
 * @param {Rectangle} rectangle
 * @param {Wanted} label
 * @param {readonly Wanted[]} all
 * @param {readonly Rectangle[]} taken
 */
function badness(rectangle, label, all, taken) {
    const covered = taken.some((other) => overlap(rectangle, other) > 0) ? COVERED : 0;
    return all.reduce((sum, other) => {
        const hidden = overlap(rectangle, other.box) / overlap(other.box, other.box);
        return sum + hidden * (other === label ? 1 : NEIGHBOUR);
    }, covered);
}

/**
 * Above, below and beside the box, then at its edges from inside.
 * @param {Rectangle} box
 * @param {number} width
 */
function startsAround({ left, top, right, bottom }, width) {
    const outside = [top - GAP - LABEL_HEIGHT, bottom + GAP];
    const inside = [top + GAP, bottom - GAP - LABEL_HEIGHT];
    const sides = [right + GAP, left - GAP - width];
    const middle = (left + right - width) / 2;
    return [
        ...outside.flatMap((y) => [left, right - width, middle].map((x) => [x, y])),
        ...sides.flatMap((x) => [top, bottom - LABEL_HEIGHT].map((y) => [x, y])),
        ...inside.flatMap((y) => [left + GAP, right - width - GAP, middle].map((x) => [x, y])),
    ];
}

/**
 * Anywhere at the box, for where all is crowded.
 * @param {Rectangle} box
 * @param {number} width
 */
function startsNear({ left, top, right, bottom }, width) {
    const step = Math.max(STEP, Math.max(right - left, bottom - top) / MOST_STEPS);
    const starts = [];
    for (let y = top - LABEL_HEIGHT; y <= bottom; y += step) {
        for (let x = left - width; x <= right; x += step) starts.push([x, y]);
    }
    return starts;
}

/**
 * @param {number} left
 * @param {number} top
 * @param {number} width
 * @returns {Rectangle}
 */
function rectangleAt(left, top, width) {
    return { left, top, right: left + width, bottom: top + LABEL_HEIGHT };
}

/**
 * The area that two rectangles share.
 * @param {Rectangle} first
 * @param {Rectangle} second
 */
export function overlap(first, second) {
    const width = Math.min(first.right, second.right) - Math.max(first.left, second.left);
    const height = Math.min(first.bottom, second.bottom) - Math.max(first.top, second.top);
    return width > 0 && height > 0 ? width * height : 0;
}

/**
 * @param {number} value
 * @param {number} most
 */
function clamp(value, most) {
    return Math.min(Math.max(value, 0), Math.max(most, 0));
}
