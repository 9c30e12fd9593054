"""Regional attention against plain attention: each pixel hears what its weights say, and no more."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from got_models.chain.region import Box
from got_models.diffusion.regional_attention import RegionalAttention, region_weights
from got_models.errors import GoTError

LEFT, RIGHT, WHOLE = Box(0, 0, 500, 999), Box(500, 0, 999, 999), Box(0, 0, 999, 999)
MAP = (6, 8)
boxes = st.builds(
    lambda x1, y1, width, height: Box(x1, y1, min(999, x1 + width), min(999, y1 + height)),
    st.integers(0, 990),
    st.integers(0, 990),
    st.integers(1, 999),
    st.integers(1, 999),
)


def attend(hidden: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return torch.softmax(hidden @ keys.transpose(1, 2), dim=-1) @ values


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def options(*kinds: int, size: tuple[int, int] = MAP) -> dict[str, Any]:
    return {"cond_or_uncond": list(kinds), "activations_shape": [len(kinds), 4, *size]}


def layer(pixels: Tensor, words: Tensor) -> Tensor:
    return attend(pixels, words, words)


def regional(regions: RegionalAttention, hidden: Tensor, context: Tensor, *kinds: int) -> Tensor:
    return regions.blend(layer(hidden, context), hidden, layer, options(*kinds))


@settings(deadline=None)  # the first one imports
@given(
    st.lists(st.tuples(boxes, st.floats(0, 10)), min_size=1, max_size=6),
    st.sampled_from([(1, 1), (4, 4), (13, 20), (64, 64)]),
    st.floats(0, 1),
    st.floats(0, 0.5),
)
def test_every_pixel_has_words_and_their_weights_add_up_to_one(
    regions: list[tuple[Box, float]], size: tuple[int, int], base: float, feather: float
) -> None:
    weights = region_weights(*zip(*regions, strict=True), size, base, feather)
    assert weights.shape == (1 + len(regions), *size)
    assert (weights >= -1e-6).all() and torch.isfinite(weights).all()
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(size))
    assert (weights[0] >= base - 1e-5).all()


def test_a_region_is_heard_inside_its_box_alone() -> None:
    base, left, right = region_weights([LEFT, RIGHT], [1.0, 1.0], (8, 8), 0.0, 0.0)
    assert torch.equal(left[:, :4], torch.ones(8, 4)) and torch.equal(left[:, 4:], torch.zeros(8, 4))
    assert torch.equal(right[:, 5:], torch.ones(8, 3)) and (base[:, :4] == 0).all()


def test_regions_share_where_they_overlap_by_their_strengths() -> None:
    base, one, other = region_weights([WHOLE, WHOLE], [3.0, 1.0], (4, 4), 0.2, 0.0)
    torch.testing.assert_close(base, torch.full((4, 4), 0.2))
    torch.testing.assert_close(one, 3 * other)


def test_a_box_smaller_than_a_pixel_is_not_lost() -> None:
    _, tiny = region_weights([Box(510, 510, 520, 520)], [1.0], (4, 4), 0.0, 0.0)
    assert tiny.max() > 0.2


def test_one_region_over_all_is_that_regions_prompt() -> None:
    hidden, base, words = random(2, 48, 16), random(2, 7, 16, seed=1), random(1, 7, 16, seed=2)
    drawn = regional(RegionalAttention([words], [WHOLE], [1.0], 0.0, 0.0), hidden, base, 0)
    torch.testing.assert_close(drawn, attend(hidden, words.expand(2, -1, -1), words.expand(2, -1, -1)))


def test_each_pixel_is_the_sum_of_its_prompts_by_their_weights() -> None:
    hidden, base = random(4, 48, 16), random(4, 14, 16, seed=1)
    words = [random(1, 7, 16, seed=2), random(1, 21, 16, seed=3)]  # of different lengths
    regions = RegionalAttention(words, [LEFT, RIGHT], [1.0, 2.0], 0.3, 0.2)
    drawn = regional(regions, hidden, base, 0, 1)  # two pictures, with a negative prompt behind them
    weights = region_weights([LEFT, RIGHT], [1.0, 2.0], MAP, 0.3, 0.2).flatten(1).unsqueeze(-1)
    expected = weights[0] * attend(hidden[:2], base[:2], base[:2])
    for weight, word in zip(weights[1:], words, strict=True):
        expected = expected + weight * attend(hidden[:2], word.expand(2, -1, -1), word.expand(2, -1, -1))
    torch.testing.assert_close(drawn[:2], expected)
    torch.testing.assert_close(drawn[2:], attend(hidden[2:], base[2:], base[2:]))


def test_rows_of_the_negative_prompt_alone_pass_untouched() -> None:
    hidden, context = random(1, 48, 16), random(1, 7, 16, seed=1)
    regions = RegionalAttention([context], [LEFT], [1.0], 0.0, 0.0)
    assert torch.equal(regional(regions, hidden, context, 1), layer(hidden, context))


@settings(deadline=None)
@given(
    st.lists(st.tuples(boxes, st.floats(0, 3)), min_size=1, max_size=12), st.sampled_from([(6, 8), (13, 5)])
)
def test_any_regions_are_summed_as_if_each_were_computed_for_the_whole_picture(
    placed: list[tuple[Box, float]], size: tuple[int, int]
) -> None:
    places, strengths = zip(*placed, strict=True)
    hidden, base = random(2, size[0] * size[1], 8), random(1, 7, 8, seed=1)
    words = [random(1, 7, 8, seed=2 + index) for index in range(len(places))]
    drawn = RegionalAttention(words, places, strengths, 0.1, 0.1).blend(
        layer(hidden, base), hidden, layer, options(0, size=size)
    )
    base_weight, *weights = region_weights(places, strengths, size, 0.1, 0.1).flatten(1).unsqueeze(-1)
    expected = base_weight * layer(hidden, base)
    for weight, word in zip(weights, words, strict=True):
        expected = expected + weight * layer(hidden, word.expand(2, -1, -1))
    torch.testing.assert_close(drawn, expected)


def test_a_region_costs_the_pixels_of_its_box_alone() -> None:
    computed = []

    def counting(pixels: Tensor, words: Tensor) -> Tensor:
        computed.append(pixels.shape[0] * pixels.shape[1])
        return layer(pixels, words)

    corners = [Box(0, 0, 100, 100), Box(900, 0, 999, 100), Box(0, 900, 100, 999), Box(0, 0, 999, 999)]
    places, words = corners * 50, [random(1, 7, 8, seed=index) for index in range(200)]
    hidden = random(1, 1024, 8)
    regions = RegionalAttention(words, places, [1.0] * 200, 0.0, 0.0)
    regions.blend(hidden, hidden, counting, options(0, size=(32, 32)))
    assert sum(computed) <= 50 * 1024 + 150 * 25 and max(computed) <= 1024


def test_a_weak_region_leaves_the_rest_to_the_base_prompt() -> None:
    base, weak, strong = region_weights([LEFT, RIGHT], [0.25, 4.0], (8, 8), 0.0, 0.0)
    assert torch.equal(weak[:, :4], torch.full((8, 4), 0.25)) and torch.equal(base[:, :4], 1 - weak[:, :4])
    assert (strong[:, 5:] == 1).all()


def test_another_patch_that_drops_points_is_named() -> None:
    regions = RegionalAttention([random(1, 7, 16)], [LEFT], [1.0], 0.0, 0.0)
    with pytest.raises(GoTError, match="Remove HyperTile"):
        regional(regions, random(2, 24, 16), random(1, 7, 16), 0)
