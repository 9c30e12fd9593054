/** Elements of the page, made with attributes and text: nothing from outside becomes markup. */

const ICONS = {
    undo: "M6 3 2.5 6.5 6 10M2.5 6.5H10a3.5 3.5 0 0 1 0 7H6",
    redo: "M10 3l3.5 3.5L10 10M13.5 6.5H6a3.5 3.5 0 0 0 0 7h4",
    add: "M8 3v10M3 8h10",
    plus: "M8 4v8M4 8h8",
    duplicate: "M5.5 5.5H13V13H5.5ZM3 10.5V3h7.5",
    lock: "M4 7.5h8v6H4ZM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
    rename: "M3 13l.5-2.5 7-7 2 2-7 7Z",
    more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
    large: "M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3",
    left: "M2.5 2v12M5 4.5h8.5V7H5ZM5 9.5h5V12H5Z",
    center: "M8 2v12M3 4.5h10V7H3ZM5 9.5h6V12H5Z",
    right: "M13.5 2v12M2.5 4.5H11V7H2.5ZM6 9.5h5V12H6Z",
    top: "M2 2.5h12M4.5 5v8.5H7V5ZM9.5 5v5H12V5Z",
    middle: "M2 8h12M4.5 3v10H7V3ZM9.5 5v6H12V5Z",
    bottom: "M2 13.5h12M4.5 2.5V11H7V2.5ZM9.5 6v5H12V6Z",
    across: "M2 2.5v11M14 2.5v11M6 5h4v6H6Z",
    down: "M2.5 2h11M2.5 14h11M5 6v4h6V6Z",
    details: "M2.5 4.5h5M11 4.5h2.5M2.5 11.5h2.5M8.5 11.5h5M9.2 2.8v3.4M6.8 9.8v3.4",
    shown: "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8ZM8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 1 0 0-3.6",
    off: "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8ZM3 13 13 3",
    raise: "M8 13V3.5M4 7.5l4-4 4 4",
    lower: "M8 3v9.5M4 8.5l4 4 4-4",
    less: "M3 8h10",
    remove: "M3 4.5h10M6 4.5V3h4v1.5M4.5 4.5 5 13h6l.5-8.5",
};

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string>} attributes
 * @param {(Node | string)[]} children
 */
export function element(name, attributes, ...children) {
    const made = document.createElement(name);
    setAttributes(made, attributes);
    made.append(...children);
    return made;
}

/**
 * @param {keyof SVGElementTagNameMap} name
 * @param {Record<string, string>} attributes
 * @param {Node[]} children
 */
export function shape(name, attributes, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    setAttributes(made, attributes);
    made.append(...children);
    return made;
}

/**
 * @param {Element} target
 * @param {Record<string, string>} attributes
 */
export function setAttributes(target, attributes) {
    for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, value);
}

/**
 * The colour of the region that something on the page belongs to.
 * @param {EventTarget | null} target
 */
export function colorOf(target) {
    return target instanceof Element ? target.closest("[data-color]")?.getAttribute("data-color") ?? null : null;
}

/** @param {keyof typeof ICONS} name */
export function icon(name) {
    const path = shape("path", { d: ICONS[name] });
    return shape("svg", { class: "got-icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, path);
}

/**
 * @param {keyof typeof ICONS} name
 * @param {string} title
 */
export function iconButton(name, title) {
    const attributes = { type: "button", title, "aria-label": title, "data-testid": `got-${name}` };
    return element("button", attributes, icon(name));
}

/**
 * @param {string} identity for tests
 * @param {string} label
 * @param {string} title
 */
export function textButton(identity, label, title) {
    return element("button", { type: "button", title, "data-testid": identity }, label);
}
