/**
 * Measures the workflow that is open in the page: nodes with their rectangles, and what of the page lies over them; links, and
 * the nodes that they run behind; texts with their sizes on the screen, and those that are cut; the contrast of notes.
 */
() => {
    const { canvas, canvasEl, graph } = app, { ds } = canvas;
    const page = canvasEl.getBoundingClientRect();
    const styleOf = (element) => getComputedStyle(element);

    // Nodes 2.0 draws a node as an element, in the window's coordinates.
    const nodes = graph.nodes.map((node) => {
        const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
        const [x, y, width, height] = drawn
            ? [(drawn.x - page.x) / ds.scale - ds.offset[0], (drawn.y - page.y) / ds.scale - ds.offset[1],
                drawn.width / ds.scale, drawn.height / ds.scale]
            : [node.pos[0], node.pos[1] - LiteGraph.NODE_TITLE_HEIGHT,
                node.size[0], node.size[1] + LiteGraph.NODE_TITLE_HEIGHT];
        return { id: node.id, name: node.title, x, y, width, height };
    });

    const hidden = new Set();
    for (const { name, x, y, width, height } of nodes) {
        for (const across of [0.02, 0.25, 0.5, 0.75, 0.98]) {
            for (const down of [0.02, 0.25, 0.5, 0.75, 0.98]) {
                const top = document.elementFromPoint(
                    (x + across * width + ds.offset[0]) * ds.scale + page.x,
                    (y + down * height + ds.offset[1]) * ds.scale + page.y,
                );
                if (top === canvasEl || top?.closest('[data-node-id], .dom-widget')) continue;
                hidden.add(`${name}: ${top ? top.className || top.tagName : 'outside the window'}`);
            }
        }
    }

    // What the canvas is told to write, and what elements of nodes hold.
    const texts = [];
    const { fillText } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        const { a, b } = this.getTransform();
        const size = parseFloat(/([0-9.]+)px/.exec(this.font)[1]) * Math.hypot(a, b);
        if (this.canvas === canvasEl || this.canvas === canvas.bgcanvas) texts.push([String(text), size]);
        return fillText.call(this, text, ...place);
    };
    canvas.draw(true, true);
    CanvasRenderingContext2D.prototype.fillText = fillText;
    const cut = texts.map(([text]) => text).filter((text) => text.endsWith('\u2026'));
    const visible = { opacityProperty: true, visibilityProperty: true };
    for (const element of document.querySelectorAll('[data-node-id] *, .dom-widget, .dom-widget *')) {
        const box = element.getBoundingClientRect();
        // A note's source, behind what is made of it; a label in the editor, which ends where it would leave the picture.
        const meant = element.matches('.comfy-markdown textarea, .got-words');
        if (meant || !element.clientWidth || !element.checkVisibility(visible)) continue;
        const written = [...element.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE);
        const own = element.value ?? written.map(({ data }) => data).join(' ').trim();
        const style = styleOf(element);
        const scrolls = element.tagName === 'TEXTAREA' || ['auto', 'scroll'].includes(style.overflowY);
        const cutBelow = scrolls && element.scrollHeight > element.clientHeight + 2;
        const cutBeside = own && style.overflowX !== 'visible' && element.scrollWidth > element.clientWidth + 1;
        if (cutBelow || cutBeside) cut.push((own || element.innerText).slice(0, 60));
        if (own) texts.push([own, parseFloat(style.fontSize) * box.width / element.offsetWidth]);
    }

    // A link is behind a node where its curve crosses the node's border further in than its slots are.
    const probe = document.createElement('canvas').getContext('2d');
    probe.lineWidth = 4;
    const links = [...graph.links.values()].filter(({ path }) => path).map(({ path, origin_id, target_id }) => ({
        path, from: graph.getNodeById(origin_id).title, to: graph.getNodeById(target_id).title,
    }));
    const reroutes = [...graph.reroutes.values()].map(({ path }) => ({ path, from: 'a reroute', to: '' }));
    const behind = [];
    for (const { name, x, y, width, height } of nodes) {
        const [left, top, right, bottom] = [x + 14, y + 6, x + width - 14, y + height - 6];
        const border = [];
        for (let across = left; across <= right; across += 3) border.push([across, top], [across, bottom]);
        for (let down = top; down <= bottom; down += 3) border.push([left, down], [right, down]);
        for (const { path, from, to } of [...links, ...reroutes].filter(({ path }) => path)) {
            if (border.some(([across, down]) => probe.isPointInStroke(path, across, down))) {
                behind.push(`${from}, ${to}: behind ${name}`);
            }
        }
    }
    const backwards = [...graph.links.values()].map(({ origin_id, target_id }) =>
        [origin_id, target_id].map((id) => nodes.find((node) => node.id === id)))
        .filter(([from, to]) => from.x + from.width > to.x).map(([from, to]) => `${from.name}, ${to.name}`);

    const luminance = (color) => {
        const [red, green, blue] = color.match(/[0-9.]+/g).map((part) => {
            const share = part / 255;
            return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const contrasts = [...document.querySelectorAll('.comfy-markdown p, .widget-markdown p')].map((text) => {
        let ground = text;
        while (/, 0\)|transparent/.test(styleOf(ground).backgroundColor)) ground = ground.parentElement;
        const both = [styleOf(text).color, styleOf(ground).backgroundColor].map(luminance);
        return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    });
    return {
        scale: ds.scale, nodes, hidden: [...hidden], texts, cut, links: links.length, behind, backwards, contrasts,
    };
}
