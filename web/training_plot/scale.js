/** Where numbers lie on an axis, and which of them are written beside it. */

/** @typedef {{low: number, high: number, logarithmic: boolean}} Range */

const SMALLEST = 1e-6;

/**
 * A range for numbers that fall over powers of ten, such as losses.
 * @param {readonly number[]} values
 * @returns {Range}
 */
export function lossRange(values) {
    const shown = values.filter((value) => Number.isFinite(value)).map((value) => Math.max(value, SMALLEST));
    if (!shown.length) return { low: 0.1, high: 1, logarithmic: true };
    let [low, high] = [Math.min(...shown), Math.max(...shown)];
    if (high < 1.2 * low) [low, high] = [low / 1.2, high * 1.2];
    return { low, high, logarithmic: true };
}

/**
 * From 0 at the range's low end to 1 at its high end; values outside are cut off.
 * @param {Range} range
 * @param {number} value
 */
export function share({ low, high, logarithmic }, value) {
    const along = logarithmic
        ? Math.log(Math.max(value, SMALLEST) / low) / Math.log(high / low)
        : (value - low) / (high - low);
    return Math.min(1, Math.max(0, along));
}

/**
 * Round numbers inside a range, about `count` of them.
 * @param {Range} range
 * @param {number} count
 * @returns {number[]}
 */
export function ticks({ low, high, logarithmic }, count) {
    if (!logarithmic) {
        const step = roundStep((high - low) / count);
        const first = Math.ceil(low / step - 1e-9);
        const number = Math.floor(high / step + 1e-9) - first + 1;
        return Array.from({ length: number }, (_, index) => Number(((first + index) * step).toPrecision(12)));
    }
    for (const digits of [[1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
        const found = [];
        for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
            found.push(...digits.map((digit) => Number(`${digit}e${power}`)));
        }
        const inside = found.filter((value) => low <= value && value <= high);
        if (inside.length <= count) return inside;
    }
    return [];
}

/**
 * Each value drawn towards those before it, so that a noisy curve shows where it goes.
 * @param {readonly (readonly [number, number])[]} points
 * @returns {[number, number][]}
 */
export function smoothed(points) {
    const memory = Math.max(1, points.length / 20);
    let total = 0, weight = 0;
    return points.map(([step, value]) => {
        total = total * (1 - 1 / memory) + value;
        weight = weight * (1 - 1 / memory) + 1;
        return [step, total / weight];
    });
}

/** @param {number} step */
function roundStep(step) {
    const power = 10 ** Math.floor(Math.log10(step));
    return power * ([1, 2, 5].find((digit) => digit * power >= step) ?? 10);
}
