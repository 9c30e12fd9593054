"""The judge against the pixel scorer, on pictures as planned and on spoiled ones.

The judge sees with `drawings.see`, a detector that shares no code with the scorer. With GOT_JUDGED=300 in the
environment this many pictures of each kind are judged; without, a few.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from PIL import Image

from got_models.chain.chain import ReasoningChain
from got_models.chain.notations.plan import Element
from got_models.judge.looking import judge_sightings
from tiny_model.world.edits import sample_edit
from tiny_model.world.language import Example, moved, sample_generation
from tiny_model.world.layouts import free_place
from tiny_model.world.scene import COLORS, PICTURE_SIZE, Scene, draw
from tiny_model.world.scoring import expected_objects, score_edit, score_picture

from .drawings import see

N = int(os.environ.get("GOT_JUDGED", "15"))
AGREEMENT, PASSING = 0.97, 0.03
EVERYWHERE = (0, 0, PICTURE_SIZE, PICTURE_SIZE)
Spoil = Callable[[random.Random, Scene], Scene | None]


def detected(picture: Image.Image) -> list[Element]:
    """What the detector calls everything in a picture, and where it is."""
    return [Element(f"{seen.color} {seen.shape}", seen.place) for seen in see(picture)]


def swapped(rng: random.Random, scene: Scene) -> Scene | None:
    """Two different things in each other's places."""
    things = list(scene.things)
    pairs = [(a, b) for a in things for b in things if a.pair != b.pair]
    if not pairs:
        return None
    one, other = rng.choice(pairs)
    places = {one: replace(one, color=other.color, shape=other.shape)}
    places[other] = replace(other, color=one.color, shape=one.shape)
    return replace(scene, things=tuple(places.get(thing, thing) for thing in things))


def shifted(rng: random.Random, scene: Scene) -> Scene | None:
    """One thing where nothing was planned."""
    thing = rng.choice(scene.things)
    taken = [(other.left, other.top, other.width, other.height) for other in scene.things]
    spot = free_place(rng, thing.width, thing.height, EVERYWHERE, taken)
    if spot is None:
        return None
    return replace(scene, things=tuple(moved(thing, *spot) if o is thing else o for o in scene.things))


def missing(rng: random.Random, scene: Scene) -> Scene | None:
    """One thing less."""
    thing = rng.choice(scene.things)
    return replace(scene, things=tuple(other for other in scene.things if other is not thing))


def recolored(rng: random.Random, scene: Scene) -> Scene | None:
    """One thing in another colour."""
    thing = rng.choice(scene.things)
    color = rng.choice([color for color in COLORS if color != thing.color])
    painted = replace(thing, color=color, paint=None)
    return replace(scene, things=tuple(painted if other is thing else other for other in scene.things))


def spoiled(spoil: Spoil | None, rng: random.Random) -> tuple[ReasoningChain, Image.Image]:
    """A plan, and a picture of it that is spoiled in one way, or as it should be."""
    while True:
        example = sample_generation(rng)
        scene = example.target if spoil is None else spoil(rng, example.target)
        if scene is not None:
            return example.chain, draw(scene)


def rates(spoil: Spoil | None) -> tuple[float, float]:
    """On how many objects the judge agrees with the scorer, and how many pictures obey."""
    agreed: list[bool] = []
    obeyed: list[bool] = []
    for number in range(N):
        chain, picture = spoiled(spoil, random.Random(f"{number} {spoil and spoil.__name__}"))
        verdict = judge_sightings(chain, detected(picture), picture)
        scored = score_picture(picture, expected_objects(chain)).objects
        agreed += [
            judged.in_place == (score.found and score.shape_right)
            for judged, score in zip(verdict.objects, scored, strict=True)
        ]
        obeyed.append(verdict.obeyed)
    print(f"agrees on {sum(agreed)} of {len(agreed)} objects; {sum(obeyed)} of {N} pictures obey")
    return sum(agreed) / len(agreed), sum(obeyed) / N


def test_the_judge_agrees_with_the_scorer_on_pictures_as_planned() -> None:
    agreement, passing = rates(None)
    assert agreement >= AGREEMENT and passing >= AGREEMENT


@pytest.mark.parametrize("spoil", [swapped, shifted, missing, recolored], ids=lambda spoil: spoil.__name__)
def test_spoiled_pictures_do_not_pass(spoil: Spoil) -> None:
    agreement, passing = rates(spoil)
    assert agreement >= AGREEMENT and passing <= PASSING


# --- edits ----------------------------------------------------------------------------------------


def untouched(rng: random.Random, example: Example) -> Scene | None:
    """As if nothing had been done."""
    return example.source


def otherwise(rng: random.Random, example: Example) -> Scene | None:
    """With another thing of the result in another colour, or gone."""
    kept = [thing for thing in example.target.things if example.source and thing in example.source.things]
    if not kept:
        return None
    thing = rng.choice(kept)
    color = rng.choice([color for color in COLORS if color != thing.color])
    other = (replace(thing, color=color),) if rng.random() < 0.5 else ()
    rest = tuple(item for item in example.target.things if item is not thing)
    return replace(example.target, things=(*rest, *other))


def wrongly(rng: random.Random, example: Example) -> Scene | None:
    """With the changed thing in a colour that nobody asked for."""
    changed = [
        thing for thing in example.target.things if example.source and thing not in example.source.things
    ]
    if example.kind not in ("recolor", "reshape"):
        return None
    color = rng.choice([color for color in COLORS if color != changed[0].color])
    things = (
        replace(thing, color=color) if thing is changed[0] else thing for thing in example.target.things
    )
    return replace(example.target, things=tuple(things))


def edited(spoil: Callable[[random.Random, Example], Scene | None] | None) -> tuple[float, float]:
    """In how many edits the judge agrees with the scorer, and how many obey."""
    agreed, obeyed = [], []
    for number in range(N):
        rng = random.Random(f"edit {number} {spoil and spoil.__name__}")
        scene = None
        while scene is None:
            example = sample_edit(rng)
            scene = spoil(rng, example) if spoil else example.target
        before, after = draw(example.source or example.target), draw(scene)
        verdict = judge_sightings(example.chain, detected(after), after, before)
        agreed.append(verdict.obeyed == score_edit(example, example.chain, before, after).happened)
        obeyed.append(verdict.obeyed)
    print(f"agrees on {sum(agreed)} of {N} edits; {sum(obeyed)} obey")
    return sum(agreed) / N, sum(obeyed) / N


def test_edits_that_happened_pass() -> None:
    agreement, passing = edited(None)
    assert agreement >= AGREEMENT and passing >= AGREEMENT


@pytest.mark.parametrize("spoil", [untouched, otherwise, wrongly], ids=lambda spoil: spoil.__name__)
def test_edits_that_did_not_happen_do_not_pass(
    spoil: Callable[[random.Random, Example], Scene | None],
) -> None:
    agreement, passing = edited(spoil)
    assert agreement >= AGREEMENT and passing <= PASSING
