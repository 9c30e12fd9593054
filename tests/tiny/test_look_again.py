"""Looking again with the bundled model: an object is taken away, and comes back, as a pixel scorer sees it.

With GOT_MENDED=50 in the environment so many pictures are mended; without, two.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.nodes._images import image_to_pictures, pictures_to_image
from got_pack.nodes._model import ManagedModel
from got_pack.nodes.look_again import GoTLookAgain

from tiny_model.world.language import Example, sample_generation
from tiny_model.world.scene import draw
from tiny_model.world.scoring import drawn_in_box, expected_objects

N = int(os.environ.get("GOT_MENDED", "2"))
BACK = 0.8
SCALES = {"semantic_scale": -1.0, "spatial_scale": -1.0, "reference_scale": -1.0}


@pytest.fixture(scope="module")
def got(checkpoint: Path) -> ManagedModel:
    return ManagedModel.open(checkpoint)


def four_things(seed: int) -> Example:
    """A plan of four different things."""
    rng = random.Random(seed)
    while True:
        example = sample_generation(rng, evaluation=True)
        if len({thing.pair for thing in example.target.things}) == 4:
            return example


def test_an_object_that_was_taken_away_is_put_back(got: ManagedModel) -> None:
    back = []
    for number in range(N):
        example = four_things(number)
        chain = ReasoningChain.from_json(example.chain.to_json())  # the pack's own class
        scene = example.target
        rest = list(scene.things)
        rest.pop(number % 4)
        picture = pictures_to_image([draw(replace(scene, things=tuple(rest)))])
        output = GoTLookAgain().look_again(
            got, chain, picture, turns=3, seed=number, steps=8, scheduler="euler", **SCALES
        )
        image, _, _, report, turns = output["result"]
        assert image.shape == picture.shape and 2 <= len(turns) <= 4
        assert report.startswith("as it came: ") and "\nturn 1, " in report
        (mended,) = image_to_pictures(image)
        back.append(all(drawn_in_box(mended, *item) for item in expected_objects(example.chain)))
        print(report)
    print(f"back in {sum(back)} of {N}")
    assert N < 10 or sum(back) / N >= BACK
