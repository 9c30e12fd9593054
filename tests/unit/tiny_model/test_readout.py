"""What the readouts of training are asked, and where."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from got_models.pipeline import GoTModel
from tiny_model.pretraining.batches import Collator
from tiny_model.pretraining.config import AnswerWeights
from tiny_model.pretraining.initialize import initialize_checkpoint
from tiny_model.pretraining.readout import (
    ABSENT_SHAPE,
    LINES,
    PlaceReadout,
    PositionReadout,
    place_target,
    visual_targets,
)
from tiny_model.pretraining.rows import edit, generation, question
from tiny_model.pretraining.stages.language import RELATIONS, LanguageModules, collator
from tiny_model.pretraining.stages.vision import LinearPatches, from_token
from tiny_model.world.scene import COLORS, SHAPES, SIZES, Scene, Thing

TOKENS_PER_SIDE = 8
WEIGHTS = AnswerWeights(names=2.0, digits=4.0, plans=3.0, steps=0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GoTModel:
    folder = tmp_path_factory.mktemp("checkpoint")
    initialize_checkpoint(folder)
    return GoTModel.from_pretrained(Path(folder))


@pytest.fixture(scope="module")
def collate(model: GoTModel) -> Collator:
    return collator(model)


def test_a_place_readout_costs_nothing_if_it_knows_and_the_logarithm_of_the_lines_if_not() -> None:
    targets = torch.tensor([[0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0]])
    readout = PlaceReadout(1)
    nn.init.zeros_(readout.edges.weight)
    nn.init.zeros_(readout.edges.bias)
    assert float(readout(torch.ones(1, 1), targets).detach()) == pytest.approx(math.log(2 * LINES + 1))
    with torch.no_grad():
        for edge, line in enumerate((32, 64, 96, 128)):
            readout.edges.bias.view(4, -1)[edge, LINES + line] = 100.0
    assert float(readout(torch.ones(1, 1), targets)) == pytest.approx(0.0, abs=1e-6)


def test_a_place_readout_of_nothing_is_zero_and_no_nan() -> None:
    targets = torch.tensor([[0.0, ABSENT_SHAPE, 0.0, 0.0, 0.0, 0.0, 0.0]])
    assert float(PlaceReadout(3)(torch.ones(1, 3), targets).detach()) == 0.0


def test_a_position_readout_is_asked_for_the_row_and_the_column_of_each_visual_token() -> None:
    readout = PositionReadout(2 * 3, 3)
    with torch.no_grad():
        readout.place.weight.copy_(100.0 * torch.eye(6))
        readout.place.bias.zero_()
    one = nn.functional.one_hot(torch.arange(3), 3).float()
    rows, columns = one.repeat_interleave(3, dim=0), one.repeat(3, 1)
    known = torch.cat([rows, columns], dim=1)[None]
    assert float(readout(known.repeat(2, 1, 1)).detach()) == pytest.approx(0.0, abs=1e-6)
    assert float(readout(torch.cat([columns, rows], dim=1)[None]).detach()) > 10.0


def test_places_are_measured_from_each_tokens_own_corner() -> None:
    scene = Scene("white", (Thing.of_size("square", "red", "small", 48, 80),))
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
    examples = [edit(0, row) for row in range(40)]
    batch = collate(examples, with_image_tokens=True)
    expected = [
        (row, place_target(thing))
        for row, example in enumerate(examples)
        for region in example.chain.regions
        for thing in example.source.things
        if thing.box == region.box
    ]
    assert batch.starts[:, 0].tolist() == [row for row, _ in expected]
    assert (batch.input_ids[batch.starts[:, 0], batch.starts[:, 1]] == collate.token_ids.box_start).all()
    torch.testing.assert_close(batch.places, torch.stack([target for _, target in expected]))
    assert len(expected) < sum(len(example.chain.regions) for example in examples)  # others are empty there


def test_before_each_box_of_an_answer_its_place_is_asked(collate: Collator) -> None:
    asked = [question(0, row, collate.vision_size) for row in range(30)]
    batch = collate(asked)
    located = [(row, thing) for row, one in enumerate(asked) for thing in one.located]
    assert batch.starts[:, 0].tolist() == [row for row, _ in located]
    torch.testing.assert_close(batch.places, torch.stack([place_target(thing) for _, thing in located]))
    behind = batch.input_ids[batch.starts[:, 0], batch.starts[:, 1] + 1].tolist()
    first_digits = [str(round(thing.left * collate.vision_size / 128))[0] for _, thing in located]
    assert collate.tokenizer.convert_ids_to_tokens(behind) == first_digits


def test_a_generation_asks_for_no_place(collate: Collator) -> None:
    batch = collate([generation(0, row) for row in range(4)])
    assert batch.starts.shape == (0, 2)
    assert batch.places.shape == (0, 7)
    assert bool((batch.regions[..., 1] < len(SHAPES)).any())


def test_digits_that_the_picture_decides_count_more_and_those_of_a_free_place_do_not(
    model: GoTModel, collate: Collator
) -> None:
    examples = [
        example for example in (edit(0, row) for row in range(60)) if example.kind in ("add", "recolor")
    ]
    batch = collate(examples[:6])
    weights = LanguageModules(model).token_weights(batch, WEIGHTS)
    box_end = collate.tokenizer.convert_tokens_to_ids("<|box_end|>")
    boxed = torch.zeros_like(weights, dtype=torch.bool)
    for row, start in batch.starts.tolist():
        end = start + int((batch.input_ids[row, start:] == box_end).nonzero()[0])
        boxed[row, start + 1 : end + 1] = True
    assert bool(boxed.any()) and bool((weights[boxed] == WEIGHTS.digits).all())
    assert set(weights[~boxed].unique().tolist()) == {1.0, WEIGHTS.names}


def test_in_plans_of_new_pictures_names_and_relations_have_a_weight_of_their_own(
    model: GoTModel, collate: Collator
) -> None:
    batch = collate([generation(0, row) for row in range(12)])
    weights = LanguageModules(model).token_weights(batch, WEIGHTS)
    assert set(weights.unique().tolist()) == {1.0, WEIGHTS.plans}
    words = [collate.words(row) for row in batch.input_ids]
    for row, position in (weights == WEIGHTS.plans).nonzero().tolist():
        assert words[row][position] in {*COLORS, *SHAPES, *SIZES, *RELATIONS}
