"""Edits of the shapes world: an instruction about a source scene, the numbered chain, the target scene."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from got_models.chain.chain import ReasoningChain

from .language import (
    HALF,
    QUADRANTS,
    Example,
    Request,
    Wanted,
    box_text,
    held_out,
    listed,
    moved,
    name,
    place_step,
    random_pair,
)
from .layouts import free_place, from_left, sample_source
from .looks import PLAIN, Look, repainted, sample_look
from .scene import COLORS, HELD_OUT_PAIRS, SHAPES, SIZES, Scene, Thing

EDIT_KINDS = ("recolor", "reshape", "remove", "add", "move")
STEPS = {"multi-step": 2, "three-step": 3}
"""Kinds of edits with several steps, each of any of ``EDIT_KINDS``."""
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


@dataclass
class Work:
    """A scene while it is edited: what it shows, what no step has touched, and where boxes have been."""

    things: list[Thing]
    untouched: list[Thing]
    boxes: list[tuple[int, int, int, int]]
    layout: str

    @classmethod
    def on(cls, source: Scene, layout: str) -> Work:
        things = list(source.things)
        return cls(things, list(things), [extent(thing) for thing in things], layout)

    def do(self, step: Step) -> None:
        """Makes one edit."""
        if step.before is not None:
            self.things.remove(step.before)
            self.untouched.remove(step.before)
        if step.after is not None:
            self.things.append(step.after)
            self.boxes.append(extent(step.after))


def extent(thing: Thing) -> tuple[int, int, int, int]:
    """Left, top, width and height in pixels."""
    return (thing.left, thing.top, thing.width, thing.height)


def quadrant_of(thing: Thing) -> int:
    """The index of the quarter that holds the thing's centre."""
    x, y = thing.center
    return int(x >= HALF) + 2 * int(y >= HALF)


def free_corner(
    rng: random.Random, width: int, height: int, work: Work, but: int | None = None
) -> tuple[int, int, int] | None:
    """A quarter, ``but`` not this one, with a free place for a box of this size: its index, left and top.

    Free also of boxes that earlier steps have emptied: with two boxes in one place it would be undefined
    which of them the result shows.
    """
    for corner in rng.sample(range(len(QUADRANTS)), len(QUADRANTS)):
        step = place_step(work.layout)
        spot = free_place(rng, width, height, QUADRANTS[corner], work.boxes, step) if corner != but else None
        if spot is not None:
            return (corner, *spot)
    return None


def sample_step(rng: random.Random, kind: str, work: Work) -> Step | None:
    """One edit of ``kind`` on a thing that is untouched so far; None if this scene does not allow it.

    The result never holds two things of one colour and shape, nor a pair that is held out from training.
    """
    pairs = {thing.pair for thing in work.things}
    if kind == "add":
        pair, size = random_pair(rng), rng.choice(list(SIZES))
        spot = free_corner(rng, SIZES[size], SIZES[size], work)
        if spot is None or pair in pairs:
            return None
        corner, left, top = spot
        after = Thing.of_size(pair[1], pair[0], size, left, top)
        sized = size if rng.random() < 0.5 else None
        verb = rng.choice(("add", "put", "draw"))
        instruction = f"{verb} {name(*pair, sized)} in the {CORNERS[corner]}"
        return Step(kind, instruction, "It is added", None, after)
    if not work.untouched:
        return None
    before = rng.choice(work.untouched)
    words = f"the {before.color} {before.shape}"
    if kind == "remove":
        if len(work.things) < 2:
            return None
        verb = rng.choice(("remove", "delete", "take away"))
        return Step(kind, f"{verb} {words}", "It is removed", before, None)
    if kind == "recolor":
        color = rng.choice([color for color in COLORS if color != before.color])
        after = replace(before, color=color, paint=None)
        pattern = rng.choice(("make {} {}", "paint {} {}", "turn {} {}", "change the color of {} to {}"))
        instruction, change = pattern.format(words, color), f"It becomes {color}"
    elif kind == "reshape":
        shape = rng.choice([shape for shape in SHAPES if shape != before.shape])
        after = replace(before, shape=shape)
        pattern = rng.choice(("turn {} into a {}", "replace {} with a {}", "change {} to a {}"))
        instruction, change = pattern.format(words, shape), f"It becomes a {shape}"
    else:
        spot = free_corner(rng, before.width, before.height, work, but=quadrant_of(before))
        if spot is None:
            return None
        corner, left, top = spot
        after = moved(before, left, top)
        verb = rng.choice(("move", "shift", "bring"))
        return Step(kind, f"{verb} {words} to the {CORNERS[corner]}", "It moves there", before, after)
    if after.pair in HELD_OUT_PAIRS or after.pair in pairs:
        return None
    return Step(kind, instruction, change, before, after)


def sample_steps(rng: random.Random, source: Scene, kinds: Sequence[str], layout: str) -> list[Step] | None:
    """An edit of each kind, one after the other; None if this scene does not allow them."""
    work = Work.on(source, layout)
    steps: list[Step] = []
    for kind in kinds:
        step = sample_step(rng, kind, work)
        if step is None:
            return None
        work.do(step)
        steps.append(step)
    return steps


def description(things: tuple[Thing, ...], background: str) -> str:
    """The objects from the left and the background, in words."""
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


def in_words(rng: random.Random, steps: Sequence[Step]) -> str:
    """The instruction: one sentence for all steps."""
    parts = [step.instruction for step in steps]
    joined = (" and ".join(parts), ", then ".join(parts), listed(parts))
    return rng.choice(joined[:2] if len(parts) < 3 else joined)


def sample_edit(
    rng: random.Random,
    kind: str | None = None,
    evaluation: bool = False,
    layout: str = "quarters",
    varied: bool = False,
) -> Example:
    """A source scene, an instruction of one to three steps, its chain, its target scene.

    Args:
        kind: one of ``EDIT_KINDS`` or ``STEPS``; None for any.
        evaluation: a held-out instruction.
        layout: of the source, as for ``sample_source``.
        varied: in any tones and any look, in place of the renderer's own.
    """
    chosen = kind or rng.choice((*EDIT_KINDS, *STEPS))
    look = sample_look(rng) if varied else PLAIN
    while True:
        source = sample_source(rng, layout)
        if varied:
            source = repainted(rng, source)
        kinds = rng.choices(EDIT_KINDS, k=STEPS[chosen]) if chosen in STEPS else [chosen]
        steps = sample_steps(rng, source, kinds, layout)
        if steps is None:
            continue
        prompt = in_words(rng, steps)
        if held_out(prompt) == evaluation:
            return edit_example(source, steps, chosen, prompt, look)


def edit_example(source: Scene, steps: list[Step], kind: str, prompt: str, look: Look = PLAIN) -> Example:
    """The row of these steps on a source scene."""
    things = list(source.things)
    for step in steps:
        if step.before is not None:
            things.remove(step.before)
        if step.after is not None:
            things.append(step.after)
    target = replace(source, things=from_left(things))
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
    return Example("edit", kind, prompt, chain, target, request, tuple(contents), source, loose, look)
