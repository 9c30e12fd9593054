/** An element of one's own on a ComfyUI node. */

/** @typedef {import("./graph.js").GraphNode} GraphNode */

// Where the elements of removed nodes stood, by the node's number and the widget: Nodes 2.0 keeps that place for the
// node that takes over the number, in whichever workflow, and leaves it empty.
/** @type {Map<string, WeakRef<Element>>} */
const leftPlaces = new Map();

/**
 * Puts an element on a node, for as long as the node is there; the node is made large enough for it.
 * @param {GraphNode} node
 * @param {string} name of the widget
 * @param {HTMLElement} element
 * @param {number | (() => number)} minHeight in pixels
 * @param {[number, number]} size that a new node gets at least
 */
export function addElement(node, name, element, minHeight, size) {
    const widget = node.addDOMWidget(name, `got_${name}`, element, {
        serialize: false,
        hideOnZoom: false,
        getMinHeight: typeof minHeight === "number" ? () => minHeight : minHeight,
    });
    widget.serialize = false;
    growTo(node, size);
    growTo(node, node.computeSize());
    const key = () => `${node.id}:${name}`;
    chainCallback(node, "onConfigure", () => {
        const place = leftPlaces.get(key())?.deref();
        if (place?.isConnected && !place.hasChildNodes()) place.append(element);
        growTo(node, node.computeSize());
    });
    chainCallback(node, "onRemoved", () => {
        if (element.parentElement) leftPlaces.set(key(), new WeakRef(element.parentElement));
    });
}

/**
 * @param {any} target
 * @param {string} name
 * @param {(...values: any[]) => void} callback is called after what is there already
 */
export function chainCallback(target, name, callback) {
    const before = target[name];
    target[name] = function (/** @type {any[]} */ ...values) {
        const result = before?.apply(this, values);
        callback(...values);
        return result;
    };
}

/**
 * @param {GraphNode} node
 * @param {string} name
 */
export function widgetOf(node, name) {
    return node?.widgets?.find((/** @type {any} */ widget) => widget.name === name);
}

/** @param {string} url of a style sheet */
export function addStyle(url) {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = url;
    document.head.append(style);
}

/**
 * Makes a node at least this large, and has it drawn.
 * @param {GraphNode} node
 * @param {[number, number]} size
 */
export function growTo(node, [width, height]) {
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
    node.setDirtyCanvas(true, true);
}
