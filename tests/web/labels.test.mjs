/** Labels stand beside the objects, never over each other, and inside the picture. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { LABEL_HEIGHT, overlap, placeLabels } from "../../web/chain_editor/labels.js";
import { seeded } from "./random.mjs";

const PICTURE = { width: 420, height: 420 };

const wanted = ([left, top, right, bottom], { full = 110, short = 20, first = false, kept = null } = {}) =>
    ({ box: { left, top, right, bottom }, full, short, first, kept });
const rectangle = ({ left, top, width }) => ({ left, top, right: left + width, bottom: top + LABEL_HEIGHT });

/** @returns how much of all labels lies over other labels, and the rectangles */
function placed(boxes, picture = PICTURE) {
    const places = placeLabels(boxes, picture);
    const rectangles = places.map(rectangle);
    let shared = 0;
    rectangles.forEach((one, index) => rectangles.slice(index + 1).forEach((other) => (shared += overlap(one, other))));
    for (const { left, top, right, bottom } of rectangles) {
        assert(left >= 0 && top >= 0 && right <= picture.width && bottom <= picture.height, "inside the picture");
    }
    return { places, rectangles, shared };
}

test("a label stands above its box, and below where there is no room above", () => {
    const boxes = [wanted([40, 100, 200, 200]), wanted([240, 4, 400, 120])];
    const { rectangles, shared } = placed(boxes);
    assert(rectangles[0].bottom <= 100);
    assert(rectangles[1].top >= 120);
    assert.equal(shared, 0);
});

test("neither the object nor its neighbour is hidden", () => {
    const boxes = [wanted([0, 0, 200, 420]), wanted([205, 30, 300, 420], { full: 90 })];
    const { rectangles } = placed(boxes);
    for (const label of rectangles) for (const { box } of boxes) assert.equal(overlap(label, box), 0);
});

test("a box over the whole picture keeps its words, in a corner", () => {
    const { places: [place] } = placed([wanted([0, 0, 420, 420])]);
    assert.equal(place.short, false);
    assert(place.top < LABEL_HEIGHT || place.top > 420 - 2 * LABEL_HEIGHT);
});

test("two boxes in one place have two labels side by side", () => {
    const { shared, places } = placed([wanted([100, 100, 300, 300]), wanted([100, 100, 300, 300])]);
    assert.equal(shared, 0);
    assert(places.every(({ short }) => !short));
});

test("where 64 boxes stand close, labels shrink to numbers and none lies over another", () => {
    const boxes = Array.from({ length: 64 }, (_, index) => {
        const [x, y] = [50 * (index % 8), 50 * Math.floor(index / 8)];
        return wanted([x, y, x + 42, y + 42], { first: index === 27 });
    });
    const { shared, places } = placed(boxes);
    assert.equal(shared, 0);
    assert.equal(places[27].short, false, "the chosen one keeps its words");
    assert(places.filter(({ short }) => short).length > 40);
});

test("while one box is dragged, the labels of the others stay where they are", () => {
    const other = wanted([40, 100, 140, 200]);
    const [kept] = placeLabels([other], PICTURE);
    const { places, shared } = placed([{ ...other, kept }, wanted([40, 100, 140, 200], { first: true })]);
    assert.deepEqual(places[0], kept);
    assert.equal(shared, 0);
});

test("labels of random plans do not meet", () => {
    const random = seeded(4);
    const below = (count) => Math.floor(random() * count);
    for (let count = 0; count < 500; count += 1) {
        const boxes = Array.from({ length: 1 + below(8) }, () => {
            const [x, y] = [below(380), below(380)];
            return wanted([x, y, x + 10 + below(410 - x), y + 10 + below(410 - y)], { full: 40 + below(160) });
        });
        assert.equal(placed(boxes).shared, 0, JSON.stringify(boxes));
    }
});
