"""Plans that a person has changed after the prompt was read: the picture follows the plan, not the prompt."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from got_models.chain.chain import ReasoningChain

from .edits import EDIT_KINDS, edit_example, in_words, sample_edit, sample_steps
from .language import Example, generation_text, name, random_pair, sample_generation
from .layouts import free_place
from .scene import BACKGROUNDS, HELD_OUT_PAIRS, PICTURE_SIZE, SIZES, Scene, Thing

CHANGES = ("color", "shape", "both", "add", "remove", "background")
EVERYWHERE = (0, 0, PICTURE_SIZE, PICTURE_SIZE)


def changed_plan(rng: random.Random, change: str | None = None, evaluation: bool = False) -> Example:
    """A caption with another plan: one object renamed, added or removed, or another background.

    ``change``: one of `CHANGES`; None for any. ``evaluation``: of a caption that training never shows.
    """
    change = change or rng.choice(CHANGES)
    while True:
        example = sample_generation(rng, evaluation=evaluation)
        changed = {
            "add": with_another,
            "remove": without_one,
            "background": on_another_background,
        }.get(change, with_new_name)(rng, example, change)
        if changed is not None:
            return changed


def with_new_name(rng: random.Random, example: Example, change: str) -> Example | None:
    """One object in another colour, another shape, or both, in its place."""
    things = list(example.target.things)
    index = rng.randrange(len(things))
    before = things[index]
    color, shape = random_pair(rng)
    after = replace(
        before,
        color=before.color if change == "shape" else color,
        shape=before.shape if change == "color" else shape,
    )
    differs = (after.color != before.color) + (after.shape != before.shape)
    if differs != (2 if change == "both" else 1) or after.pair in HELD_OUT_PAIRS | pairs(things):
        return None
    things[index] = after
    chain = example.chain.rename(index, name(after.color, after.shape, after.size))
    return showing(example, chain, tuple(things), example.target.background)


def with_another(rng: random.Random, example: Example, change: str) -> Example | None:
    """One object more: where the editor puts it into the sentence, or at its end."""
    things = example.target.things
    color, shape = random_pair(rng)
    size = rng.choice(list(SIZES))
    taken = [(thing.left, thing.top, thing.width, thing.height) for thing in things]
    spot = free_place(rng, SIZES[size], SIZES[size], EVERYWHERE, taken)
    if spot is None or (color, shape) in pairs(things):
        return None
    added = Thing.of_size(shape, color, size, *spot)
    if rng.random() < 0.5 and example.request.relation is None:
        shown = (*things, added)
        text = generation_text(Scene(example.target.background, shown), example.request)
        chain = ReasoningChain.parse(text, task=example.task, prompt=example.prompt)
        return showing(example, chain, shown, example.target.background)
    chain = example.chain.add(name(color, shape, size), added.box)
    at = next(index for index, region in enumerate(chain.regions) if region.box == added.box)
    return showing(example, chain, (*things[:at], added, *things[at:]), example.target.background)


def without_one(rng: random.Random, example: Example, change: str) -> Example | None:
    """One object less."""
    things = example.target.things
    if len(things) < 2:
        return None
    index = rng.randrange(len(things))
    left = things[:index] + things[index + 1 :]
    return showing(example, example.chain.remove(index), left, example.target.background)


def on_another_background(rng: random.Random, example: Example, change: str) -> Example:
    """The same objects on another background."""
    before = example.target.background
    after = rng.choice([background for background in BACKGROUNDS if background != before])
    text = re.sub(rf"\b{before} background", f"{after} background", example.chain.text)
    chain = ReasoningChain.parse(text, task=example.task, prompt=example.prompt)
    return showing(example, chain, example.target.things, after)


def showing(example: Example, chain: ReasoningChain, things: tuple[Thing, ...], background: str) -> Example:
    """The example with a changed plan, and the picture that it asks for."""
    contents = tuple(thing.pair for thing in things)
    return replace(example, chain=chain, target=Scene(background, things), contents=contents)


def pairs(things: list[Thing] | tuple[Thing, ...]) -> set[tuple[str, str]]:
    """The colours and shapes of things."""
    return {thing.pair for thing in things}


def changed_edit(rng: random.Random, layout: str, varied: bool) -> Example:
    """An edit whose chain was changed to say another edit of the same picture than the instruction."""
    while True:
        example = sample_edit(rng, layout=layout, varied=varied)
        if example.source is None:
            raise ValueError("expected an edit with a source, received none")
        kinds = rng.choices(EDIT_KINDS, k=rng.choice((1, 1, 2)))
        steps = sample_steps(rng, example.source, kinds, layout)
        if steps is None:
            continue
        other = edit_example(example.source, steps, example.kind, in_words(rng, steps), example.look)
        if other.target != example.target:
            return replace(other, prompt=example.prompt, chain=replace(other.chain, prompt=example.prompt))
