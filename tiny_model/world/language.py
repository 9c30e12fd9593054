"""Captions and generation chains of the shapes world.

A caption asks for objects; the chain answers in GoT's format (paper section 3): prose in which every object
is followed by its box. Boxes never overlap, and they satisfy the relation in the caption.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, replace

from got_models.chain.chain import MASK_COLORS, Box, ReasoningChain

from .looks import PLAIN, Look
from .scene import (
    BACKGROUNDS,
    COLORS,
    HELD_OUT_PAIRS,
    NEW_COLOR,
    NEW_SHAPE,
    PICTURE_SIZE,
    SHAPES,
    SIZES,
    Scene,
    Thing,
)

GAP = 8
"""Pixels that are left free on the right of and below each cell: no two things touch."""

GRID_STEP = 8
"""Things start at multiples of this many pixels: one latent cell, and one patch of the vision tower."""

HALF = PICTURE_SIZE // 2
COUNT_WORDS = ("one", "two", "three", "four")
RELATION_WORDS = {
    "left of": ("to the left of", "left of", "on the left side of"),
    "right of": ("to the right of", "right of", "on the right side of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}

Cell = tuple[int, int, int, int]
QUADRANTS: tuple[Cell, ...] = (
    (0, 0, HALF, HALF),
    (HALF, 0, PICTURE_SIZE, HALF),
    (0, HALF, HALF, PICTURE_SIZE),
    (HALF, HALF, PICTURE_SIZE, PICTURE_SIZE),
)
"""Left, top, right, bottom of the four quarters of the picture in reading order."""


@dataclass(frozen=True)
class Wanted:
    """One object that a prompt asks for; ``size`` is None if the prompt does not say."""

    color: str
    shape: str
    size: str | None = None


@dataclass(frozen=True)
class Relation:
    """``objects[first]`` has to be ``name`` (left of, right of, above, below) ``objects[second]``."""

    first: int
    name: str
    second: int


@dataclass(frozen=True)
class Request:
    """What a caption asks for: objects in order, at most one relation, the background if it is named."""

    objects: tuple[Wanted, ...]
    relation: Relation | None = None
    background: str | None = None


@dataclass(frozen=True)
class Example:
    """One row of the shapes world.

    ``contents`` gives for each region of the chain what the target shows in its box: (colour, shape), or None
    for plain background. ``loose``: indices of ``target.things`` whose exact position the prompt leaves open
    (the quarter of the picture is fixed). ``kind`` names the kind of caption or edit. ``look``: how the
    scenes are drawn.
    """

    task: str
    kind: str
    prompt: str
    chain: ReasoningChain
    target: Scene
    request: Request
    contents: tuple[tuple[str, str] | None, ...]
    source: Scene | None = None
    loose: frozenset[int] = frozenset()
    look: Look = PLAIN


def held_out(prompt: str) -> bool:
    """True for the tenth of all prompts that is held out for evaluation."""
    return zlib.crc32(prompt.encode()) % 10 == 0


def name(color: str, shape: str, size: str | None = None, article: str | None = "a") -> str:
    """An object in words: ``a small red circle``, ``an orange star``; ``article`` None leaves it out."""
    words = " ".join(part for part in (size, color, shape) if part)
    if article == "a" and words[0] in "aeiou":
        article = "an"
    return f"{article} {words}" if article else words


def plural(words: str) -> str:
    """``red circles``, ``brown crosses``."""
    return words + ("es" if words.endswith("s") else "s")


def marked(thing: Thing, index: int) -> str:
    """The object's phrase with its box and the mask colour of the ``index``-th box of a chain."""
    return f"{name(thing.color, thing.shape, thing.size)} {box_text(thing.box, index)}"


def box_text(box: Box, index: int) -> str:
    """The box as GoT-6B writes it, with the ``index``-th mask colour."""
    return f"<|box_start|>({box.x1},{box.y1}),({box.x2},{box.y2})<|box_end|> ({MASK_COLORS[index]})"


def listed(parts: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def random_pair(rng: random.Random, pairs: str = "seen") -> tuple[str, str]:
    """A colour and a shape, from the pairs described in ``sample_generation``."""
    if pairs == "unseen":
        return rng.choice(sorted(HELD_OUT_PAIRS))
    if pairs == "new":
        color, shape = rng.choice(list(COLORS)), rng.choice(SHAPES)
        return rng.choice([(NEW_COLOR, NEW_SHAPE), (color, NEW_SHAPE), (NEW_COLOR, shape)])
    while True:
        pair = (rng.choice(list(COLORS)), rng.choice(SHAPES))
        if pair not in HELD_OUT_PAIRS:
            return pair


def place_step(layout: str) -> int:
    """Things that stand anywhere do so at any pixel, others on the grid."""
    return 1 if layout == "anywhere" else GRID_STEP


def place(rng: random.Random, size: str, cell: Cell) -> tuple[int, int]:
    """Left and top, on the grid, of an object of this size anywhere inside ``cell``."""
    left, top, right, bottom = cell
    side = SIZES[size]
    return (
        rng.randrange(left, right - GAP - side + 1, GRID_STEP),
        rng.randrange(top, bottom - GAP - side + 1, GRID_STEP),
    )


def cells_for(rng: random.Random, count: int, relation: str | None) -> list[Cell]:
    """Disjoint cells for ``count`` objects: on the two sides of a relation, otherwise in reading order."""
    whole = PICTURE_SIZE
    left_right: list[Cell] = [(0, 0, HALF, whole), (HALF, 0, whole, whole)]
    top_bottom: list[Cell] = [(0, 0, whole, HALF), (0, HALF, whole, whole)]
    if relation is not None:
        cells = left_right if relation in ("left of", "right of") else top_bottom
        return cells if relation in ("left of", "above") else cells[::-1]
    if count == 1:
        return [(0, 0, whole, whole)]
    if count == 2:
        return rng.choice([left_right, top_bottom])
    return [QUADRANTS[index] for index in sorted(rng.sample(range(len(QUADRANTS)), count))]


def sample_request(rng: random.Random, pairs: str, explicit: bool) -> tuple[str, str, Request]:
    """Kind, caption and request as described in ``sample_generation``."""
    kind = rng.choices(("single", "count", "relation", "list"), (2, 2, 4, 3))[0]
    background = rng.choice(list(BACKGROUNDS)) if explicit or rng.random() < 0.7 else None

    def wanted(pairs: str = "seen") -> Wanted:
        color, shape = random_pair(rng, pairs)
        return Wanted(color, shape, rng.choice(list(SIZES)) if explicit or rng.random() < 0.4 else None)

    def another() -> Wanted:
        return wanted("new" if pairs == "new" and rng.random() < 0.5 else "seen")

    def other_than(item: Wanted) -> Wanted:
        other = another()
        while (other.color, other.shape) == (item.color, item.shape):
            other = another()
        return other

    def words(item: Wanted, article: str | None = "a") -> str:
        return name(item.color, item.shape, item.size, article)

    relation = None
    first = wanted(pairs)
    if kind == "single":
        objects = [first]
        caption = words(first, rng.choice(("a", "a", "one")))
    elif kind == "count":
        count = rng.randint(2, 4)
        objects = [first] * count
        caption = f"{COUNT_WORDS[count - 1]} {plural(words(first, None))}"
        if count < 4 and rng.random() < 0.4:
            other = other_than(first)
            objects.append(other)
            caption += f" and {words(other)}"
    elif kind == "relation":
        other = other_than(first)
        relation_name = rng.choice(list(RELATION_WORDS))
        phrase = rng.choice(RELATION_WORDS[relation_name])
        if rng.random() < 0.75:
            objects, relation = [first, other], Relation(0, relation_name, 1)
            caption = f"{words(first)} {phrase} {words(other)}"
        else:
            objects, relation = [other, first], Relation(1, relation_name, 0)
            caption = f"{phrase} {words(other)} there is {words(first)}"
    else:
        objects = [first] + [another() for _ in range(rng.randint(1, 3))]
        rng.shuffle(objects)
        caption = listed([words(item) for item in objects])
    if background is not None:
        caption += f" on a {background} background"
    opening = rng.choice(("", "", "", "a picture of ", "draw "))
    if opening and not caption.startswith(("to ", "on ", "left", "right", "above", "over", "below", "under")):
        caption = opening + caption
    return kind, caption, Request(tuple(objects), relation, background)


def generation_text(scene: Scene, request: Request) -> str:
    """The chain of a generation: the background, then every object with its box, in the caption's order."""
    parts = [marked(thing, index) for index, thing in enumerate(scene.things)]
    verb = "is" if len(parts) == 1 else "are"
    if request.relation is not None:
        relation = request.relation
        second_name = relation.name if relation.first == 1 else OPPOSITE[relation.name]
        words = RELATION_WORDS[second_name][0]
        return f"On a {scene.background} background there is {parts[0]}, and {words} it {parts[1]}."
    return f"On a {scene.background} background there {verb} {listed(parts)}."


def sample_generation(
    rng: random.Random, pairs: str = "seen", evaluation: bool = False, explicit: bool = False
) -> Example:
    """A caption, its chain and its picture.

    ``pairs``: "seen", or captions with a colour-shape pair that is "unseen", which training never shows, or
    with pairs that are "new", of which the bundled model knows not even the parts.
    ``evaluation``: draw from the tenth of the captions that training never shows.
    ``explicit``: the caption names the background and every size.
    """
    while True:
        kind, caption, request = sample_request(rng, pairs, explicit)
        if held_out(caption) == evaluation:
            break
    things = []
    relation = request.relation
    relation_name = None
    if relation is not None:
        relation_name = relation.name if relation.first == 0 else OPPOSITE[relation.name]
    cells = cells_for(rng, len(request.objects), relation_name)
    for wanted, cell in zip(request.objects, cells, strict=True):
        size = wanted.size or rng.choice(list(SIZES))
        things.append(Thing.of_size(wanted.shape, wanted.color, size, *place(rng, size, cell)))
    scene = Scene(request.background or rng.choice(list(BACKGROUNDS)), tuple(things))
    chain = ReasoningChain.parse(generation_text(scene, request), task="generate", prompt=caption)
    contents = tuple(thing.pair for thing in scene.things)
    return Example("generate", kind, caption, chain, scene, request, contents)


def nudged(rng: random.Random, example: Example) -> Example:
    """The same caption with every object up to ``GAP`` - 1 pixels off the grid, as after a drag."""
    things = tuple(
        moved(thing, thing.left + rng.randrange(GAP), thing.top + rng.randrange(GAP))
        for thing in example.target.things
    )
    scene = replace(example.target, things=things)
    text = generation_text(scene, example.request)
    chain = ReasoningChain.parse(text, task=example.task, prompt=example.prompt)
    return replace(example, chain=chain, target=scene)


def moved(thing: Thing, left: int, top: int) -> Thing:
    """The same object with its top left corner elsewhere (pixels)."""
    return replace(thing, left=left, top=top)
