"""What the readouts of training are asked, and where."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from got_models.pipeline import GoTModel
from tiny_model.pretraining.data import Collator, edit_example, generation_example
from tiny_model.pretraining.initialize import initialize_checkpoint
from tiny_model.pretraining.readout import ABSENT_SHAPE, GRID_LINES, PlaceReadout, visual_targets
from tiny_model.pretraining.stages.language import box_starts, collator
from tiny_model.pretraining.stages.vision import LinearPatches, from_token
from tiny_model.world.scene import SHAPES, Scene, Thing

TOKENS_PER_SIDE = 8


@pytest.fixture(scope="module")
def collate(tmp_path_factory: pytest.TempPathFactory) -> Collator:
    folder = tmp_path_factory.mktemp("checkpoint")
    initialize_checkpoint(folder)
    return collator(GoTModel.from_pretrained(Path(folder)))


def test_a_place_readout_costs_nothing_if_it_knows_and_the_logarithm_of_the_lines_if_not() -> None:
    targets = torch.tensor([[0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0]])
    readout = PlaceReadout(1)
    nn.init.zeros_(readout.edges.weight)
    nn.init.zeros_(readout.edges.bias)
    assert float(readout(torch.ones(1, 1), targets).detach()) == pytest.approx(math.log(2 * GRID_LINES + 1))
    with torch.no_grad():
        for edge, line in enumerate((4, 8, 12, 16)):
            readout.edges.bias.view(4, -1)[edge, GRID_LINES + line] = 100.0
    assert float(readout(torch.ones(1, 1), targets)) == pytest.approx(0.0, abs=1e-6)


def test_a_place_readout_of_nothing_is_zero_and_no_nan() -> None:
    targets = torch.tensor([[0.0, ABSENT_SHAPE, 0.0, 0.0, 0.0, 0.0, 0.0]])
    assert float(PlaceReadout(3)(torch.ones(1, 3), targets).detach()) == 0.0


def test_places_are_measured_from_each_tokens_own_corner() -> None:
    scene = Scene("white", (Thing("square", "red", "small", 48, 80),))
    targets = from_token(visual_targets(scene, TOKENS_PER_SIDE)[None])[0]
    row, column = 5, 4  # the token whose corner is at 64, 80 pixels
    assert targets[row * TOKENS_PER_SIDE + column, 3:].tolist() == [-16 / 128, 0.0, 16 / 128, 32 / 128]


def test_the_patch_embedding_as_a_product_is_the_convolution() -> None:
    convolution = nn.Conv3d(3, 6, kernel_size=(2, 4, 4), stride=(2, 4, 4), bias=False)
    patches = torch.randn(5, 3 * 2 * 4 * 4)
    product = LinearPatches(SimpleNamespace(proj=convolution))
    expected = convolution(patches.view(5, 3, 2, 4, 4)).flatten(1)
    torch.testing.assert_close(product(patches), expected)
    assert list(product.state_dict()) == ["proj.weight"]


def test_where_a_box_starts_the_place_of_what_the_source_shows_is_asked_and_nothing_else(
    collate: Collator,
) -> None:
    examples = [edit_example(0, row) for row in range(40)]
    batch = collate(examples)
    starts, targets = box_starts(batch, collate.token_ids.box_start)
    rows = starts.nonzero()[:, 0]
    regions = [(row, region) for row, example in enumerate(examples) for region in example.chain.regions]
    assert int(starts.sum()) == len(rows) == len(targets) == len(regions)
    for row, target, (expected_row, region) in zip(rows.tolist(), targets, regions, strict=True):
        source = examples[row].source
        assert source is not None and row == expected_row
        assert (int(target[1]) != ABSENT_SHAPE) == any(thing.box == region.box for thing in source.things)
        assert target[3:].tolist() == pytest.approx(
            [edge / 1000 for edge in (region.box.x1, region.box.y1, region.box.x2, region.box.y2)]
        )
    kinds = {example.kind for example in examples}
    assert {"add", "move", "recolor"} <= kinds  # both answers occur


def test_a_generation_asks_for_no_place(collate: Collator) -> None:
    batch = collate([generation_example(0, row) for row in range(4)])
    assert bool((batch.seen[..., 1] == ABSENT_SHAPE).all())
    assert bool((batch.regions[..., 1] < len(SHAPES)).any())
