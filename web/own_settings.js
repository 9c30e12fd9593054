/** What the values of widgets stand for that mean the checkpoint's own setting. */

/**
 * As the server tells them, by task.
 * @typedef {Record<string, Record<string, number | string>>} Settings
 */

const SCALES = { semantic_scale: "semantic", spatial_scale: "spatial", reference_scale: "reference" };
const PACE = { steps: "steps", scheduler: "scheduler", speed: "speed" };
const SIZES = { width: "width", height: "height" };
/** @type {Record<string, Record<string, string>>} by class of node, then by widget: the name of the setting */
const SETTINGS = {
    GoTReason: { max_new_tokens: "max_new_tokens", temperature: "temperature" },
    GoTSSGMEncode: SIZES,
    GoTSampler: { ...PACE, ...SCALES },
    GoTPickBest: { ...PACE, ...SCALES },
    GoTLookAgain: { ...PACE, ...SCALES },
    GoTSweep: { ...PACE, ...SCALES },
    GoTGuider: { speed: "speed", ...SCALES },
    GoTConverse: { ...PACE, ...SCALES, ...SIZES },
};
const OWN = { max_new_tokens: 0, width: 0, height: 0 };  // the others: everything below 0

const AUTO = "auto";
/** @type {Record<string, number>} */
const STEPS = { fast: 8, fastest: 4 };  // exact: the checkpoint's own
/** @type {Record<string, string>} */
const SCHEDULERS = { exact: "ddpm", fast: "euler", fastest: "euler" };

/** @param {string} kind of node */
export function hasOwnSettings(kind) {
    return Object.hasOwn(SETTINGS, kind);
}

/**
 * @param {string} kind of node
 * @param {string} widget its name
 * @param {unknown} value of the widget
 * @param {Settings | null} settings null: not known
 * @param {string} task
 * @param {Record<string, unknown>} others the values of the node's widgets, by name
 * @returns {number | string | null} what the value stands for; null: for itself, or that is not known
 */
export function ownSetting(kind, widget, value, settings, task, others = {}) {
    const name = SETTINGS[kind]?.[widget];
    if (!name || !settings || !Object.hasOwn(settings, task)) return null;
    if (name in PACE) return pace(name, value, settings[task], others);
    if (typeof value !== "number") return null;
    const own = (name in OWN ? value === 0 : value < 0) ? settings[task][name] : null;
    return typeof own === "number" && Number.isFinite(own) ? own : null;
}

/**
 * As the server decides: a speed sets steps and scheduler; without one, what is set counts by itself.
 * @param {string} name
 * @param {unknown} value
 * @param {Record<string, number | string>} own
 * @param {Record<string, unknown>} others
 */
function pace(name, value, own, others) {
    if (value !== (name === "steps" ? 0 : AUTO)) return null;
    const scheduler = others.scheduler ?? AUTO;
    const chosen = others.speed ?? AUTO;
    const speed = chosen === AUTO ? own.speed : chosen;
    if (typeof speed !== "string" || !Object.hasOwn(SCHEDULERS, speed)) return null;
    if (name === "scheduler") return SCHEDULERS[speed];
    const byHand = chosen === AUTO && scheduler !== AUTO;
    if (name === "speed") return byHand || others.steps ? null : speed;
    const steps = (byHand ? null : STEPS[speed]) ?? own.steps;
    return typeof steps === "number" && Number.isFinite(steps) ? steps : null;
}
