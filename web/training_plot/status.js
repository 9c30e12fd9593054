/** How far a training is, in a line of words. */

/**
 * @param {import("./widget.js").Report} report
 * @param {import("../texts/en.js").Texts["training"]} say
 */
export function statusText({ state, step, steps, seconds_per_step: pace }, say) {
    const parts = [headOf(state, step, steps, say)];
    if (state === "stopped") parts.push(say.stepsDone(step, steps));
    if (state === "done") parts.push(say.steps(steps));
    if (pace) parts.push(say.perStep(paceText(pace)));
    if (pace && state === "training") parts.push(say.left(duration(pace * (steps - step))));
    return parts.join(" · ");
}

/**
 * @param {string} state
 * @param {number} step
 * @param {number} steps
 * @param {import("../texts/en.js").Texts["training"]} say
 */
function headOf(state, step, steps, say) {
    if (state === "training") return say.step(step, steps);
    return state === "done" || state === "stopped" ? say[state] : state;
}

/** @param {number} seconds */
function paceText(seconds) {
    return seconds < 0.095 ? `${(1000 * seconds).toFixed(0)} ms` : `${seconds.toPrecision(2)} s`;
}

/** @param {number} seconds */
export function duration(seconds) {
    const minutes = Math.round(seconds / 60);
    if (seconds < 90) return `${Math.round(seconds)} s`;
    return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
