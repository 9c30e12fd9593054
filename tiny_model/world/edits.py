"""Edits of the shapes world: an instruction about a source scene, the numbered chain, the target scene."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from got_models.chain.chain import ReasoningChain

from .language import (
    HALF,
    QUADRANTS,
    Example,
    Request,
    Wanted,
    box_text,
    cells_for,
    held_out,
    listed,
    moved,
    name,
    place,
    random_pair,
)
from .scene import BACKGROUNDS, COLORS, HELD_OUT_PAIRS, SHAPES, SIZES, Scene, Thing

EDIT_KINDS = ("recolor", "reshape", "remove", "add", "move")
CORNERS = ("top left", "top right", "bottom left", "bottom right")
"""The names of the four quarters, in the order of ``language.QUADRANTS``."""


@dataclass(frozen=True)
class Step:
    """One edit: the object it is about, the thing before and after (None: not there), in words."""

    kind: str
    instruction: str
    change: str
    before: Thing | None
    after: Thing | None


def quadrant_of(thing: Thing) -> int:
    """The index of the quarter that holds the thing's centre."""
    left, top, right, bottom = thing.pixel_box
    return int((left + right) / 2 >= HALF) + 2 * int((top + bottom) / 2 >= HALF)


def touched_quadrants(thing: Thing) -> set[int]:
    """The indices of all quarters that the thing overlaps."""
    left, top, right, bottom = thing.pixel_box
    return {
        index
        for index, (cell_left, cell_top, cell_right, cell_bottom) in enumerate(QUADRANTS)
        if left < cell_right and right > cell_left and top < cell_bottom and bottom > cell_top
    }


def free_quadrants(things: list[Thing]) -> list[int]:
    """The quarters that nothing overlaps."""
    taken = set().union(*(touched_quadrants(thing) for thing in things))
    return [index for index in range(4) if index not in taken]


def in_reading_order(things: list[Thing]) -> tuple[Thing, ...]:
    """Sorted by quarter: top left, top right, bottom left, bottom right."""
    return tuple(sorted(things, key=quadrant_of))


def sample_step(rng: random.Random, kind: str, things: list[Thing], untouched: list[Thing]) -> Step | None:
    """One edit of ``kind`` on one of ``untouched``; None if this scene does not allow it.

    The result never holds two things of one colour and shape, nor a pair that is held out from training.
    """
    pairs = {thing.pair for thing in things}
    if kind == "add":
        corners = free_quadrants(things)
        pair = random_pair(rng)
        if not corners or pair in pairs:
            return None
        corner, size = rng.choice(corners), rng.choice(list(SIZES))
        left, top = place(rng, size, QUADRANTS[corner])
        after = Thing(pair[1], pair[0], size, left, top)
        sized = size if rng.random() < 0.5 else None
        verb = rng.choice(("add", "put", "draw"))
        instruction = f"{verb} {name(*pair, sized)} in the {CORNERS[corner]}"
        return Step(kind, instruction, "It is added", None, after)
    if not untouched:
        return None
    before = rng.choice(untouched)
    words = f"the {before.color} {before.shape}"
    if kind == "remove":
        if len(things) < 2:
            return None
        verb = rng.choice(("remove", "delete", "take away"))
        return Step(kind, f"{verb} {words}", "It is removed", before, None)
    if kind == "recolor":
        color = rng.choice([color for color in COLORS if color != before.color])
        after = replace(before, color=color)
        pattern = rng.choice(("make {} {}", "paint {} {}", "turn {} {}", "change the color of {} to {}"))
        instruction, change = pattern.format(words, color), f"It becomes {color}"
    elif kind == "reshape":
        shape = rng.choice([shape for shape in SHAPES if shape != before.shape])
        after = replace(before, shape=shape)
        pattern = rng.choice(("turn {} into a {}", "replace {} with a {}", "change {} to a {}"))
        instruction, change = pattern.format(words, shape), f"It becomes a {shape}"
    else:
        corners = free_quadrants(things)
        if not corners:
            return None
        corner = rng.choice(corners)
        left, top = place(rng, before.size, QUADRANTS[corner])
        after = moved(before, left, top)
        verb = rng.choice(("move", "shift", "bring"))
        return Step(kind, f"{verb} {words} to the {CORNERS[corner]}", "It moves there", before, after)
    if after.pair in HELD_OUT_PAIRS or after.pair in pairs:
        return None
    return Step(kind, instruction, change, before, after)


def description(things: tuple[Thing, ...], background: str) -> str:
    """The objects in reading order and the background, in words."""
    shown = listed([name(thing.color, thing.shape) for thing in things]) if things else "nothing"
    return f"{shown} on a {background} background"


def edit_text(source: Scene, steps: list[Step], target: Scene) -> str:
    """The numbered chain: source, then object, area and change for each step, then the result."""
    sentences = [f"The picture shows {description(source.things, source.background)}"]
    index = 0
    for step in steps:
        subject = step.before or step.after
        if subject is None:
            raise ValueError("expected a step with a thing before or after it, received neither")
        phrase = name(subject.color, subject.shape, subject.size)
        verb = "add" if step.kind == "add" else "edit"
        sentences.append(f"The object to {verb} is {name(subject.color, subject.shape)}")
        area = f"The area is {phrase} {box_text(subject.box, index)}"
        index += 1
        if step.kind == "move" and step.after is not None:
            area += f" and then {phrase} {box_text(step.after.box, index)}"
            index += 1
        sentences += [area, step.change]
    sentences.append(f"The result shows {description(target.things, target.background)}")
    return " ".join(f"{number}. {sentence}." for number, sentence in enumerate(sentences, 1))


def sample_source(rng: random.Random, anywhere: bool = False) -> Scene:
    """One to three things of different colour and shape, each in its own quarter.

    ``anywhere``: with the layout of generated pictures; only each thing's centre has its own quarter.
    """
    count = rng.randint(1, 3)
    cells = cells_for(rng, count, None) if anywhere else rng.sample(QUADRANTS, count)
    things: list[Thing] = []
    for cell in cells:
        pair = random_pair(rng)
        while pair in {thing.pair for thing in things}:
            pair = random_pair(rng)
        size = rng.choice(list(SIZES))
        things.append(Thing(pair[1], pair[0], size, *place(rng, size, cell)))
    return Scene(rng.choice(list(BACKGROUNDS)), in_reading_order(things))


def sample_edit(
    rng: random.Random, kind: str | None = None, evaluation: bool = False, anywhere: bool = False
) -> Example:
    """A source scene, an instruction of one step or (``kind`` "multi-step") two, its chain, its target scene.

    ``kind``: one of ``EDIT_KINDS``, "multi-step", or None for any. ``evaluation``: a held-out instruction.
    ``anywhere``: as for ``sample_source``.
    """
    while True:
        source = sample_source(rng, anywhere)
        chosen = kind or rng.choice((*EDIT_KINDS, "multi-step"))
        kinds = rng.choices(EDIT_KINDS, k=2) if chosen == "multi-step" else [chosen]
        things, untouched = list(source.things), list(source.things)
        steps: list[Step] = []
        for step_kind in kinds:
            step = sample_step(rng, step_kind, things, untouched)
            if step is None:
                break
            if step.before is not None:
                things.remove(step.before)
                untouched.remove(step.before)
            if step.after is not None:
                things.append(step.after)
            steps.append(step)
        if len(steps) < len(kinds):
            continue
        if len(steps) == 2 and crowded(steps):
            continue
        prompt = rng.choice((" and ", ", then ")).join(step.instruction for step in steps)
        if held_out(prompt) == evaluation:
            break
    target = Scene(source.background, in_reading_order(things))
    chain = ReasoningChain.parse(edit_text(source, steps, target), task="edit", prompt=prompt)
    contents: list[tuple[str, str] | None] = []
    placed = []
    for step in steps:
        if step.kind == "move":
            contents.append(None)
        contents.append(step.after.pair if step.after else None)
        if step.kind in ("add", "move") and step.after is not None:
            placed.append(step.after)
    loose = frozenset(target.things.index(thing) for thing in placed)
    wanted = tuple(Wanted(thing.color, thing.shape) for thing in target.things)
    request = Request(wanted, background=source.background)
    return Example("edit", chosen, prompt, chain, target, request, tuple(contents), source, loose)


def crowded(steps: list[Step]) -> bool:
    """Whether the second step puts something where the first one removed something, or vice versa.

    With two boxes in one place it would be undefined which of them the result shows.
    """
    first, second = steps
    if first.before is None or second.after is None or second.kind not in ("add", "move"):
        return False
    return quadrant_of(second.after) in touched_quadrants(first.before)
