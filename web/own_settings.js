/** What the values of widgets stand for that mean the checkpoint's own setting. */

/**
 * As the server tells them, by task.
 * @typedef {Record<string, Record<string, number>>} Settings
 */

const SCALES = { semantic_scale: "semantic", spatial_scale: "spatial", reference_scale: "reference" };
const SIZES = { width: "width", height: "height" };
/** @type {Record<string, Record<string, string>>} by class of node, then by widget: the name of the setting */
const SETTINGS = {
    GoTReason: { max_new_tokens: "max_new_tokens", temperature: "temperature" },
    GoTSSGMEncode: SIZES,
    GoTSampler: { steps: "steps", ...SCALES },
    GoTGuider: SCALES,
    GoTConverse: { steps: "steps", ...SCALES, ...SIZES },
};
const OWN = { max_new_tokens: 0, steps: 0, width: 0, height: 0 };  // the others: everything below 0

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
 * @returns {number | null} what the value stands for; null: for itself, or that is not known
 */
export function ownSetting(kind, widget, value, settings, task) {
    const name = SETTINGS[kind]?.[widget];
    if (!name || typeof value !== "number") return null;
    const isOwn = name in OWN ? value === 0 : value < 0;
    const own = isOwn && settings && Object.hasOwn(settings, task) ? settings[task][name] : null;
    return typeof own === "number" && Number.isFinite(own) ? own : null;
}
