"""Aspect-ratio buckets."""

from __future__ import annotations

import math

import pytest

from got_models.dataset.buckets import bucket_sizes, nearest_bucket
from got_models.dataset.rows import MAX_ASPECT


@pytest.mark.parametrize("resolution_px", [128, 512, 1000, 1024])
def test_buckets_have_the_area_of_the_square_and_sides_that_the_vae_takes(resolution_px: int) -> None:
    sizes = bucket_sizes(resolution_px)
    assert all(side % 8 == 0 for size in sizes for side in size)
    assert all(0.9 < height * width / resolution_px**2 < 1.1 for height, width in sizes)
    assert {(width, height) for height, width in sizes} == set(sizes)
    assert (1024, 1024) in bucket_sizes(1024) and (128, 128) in bucket_sizes(128)


@pytest.mark.parametrize("resolution_px", [128, 512, 1024])
def test_no_picture_that_is_not_too_long_is_stretched_by_more_than_a_tenth(resolution_px: int) -> None:
    for percent in range(int(100 / MAX_ASPECT), int(100 * MAX_ASPECT) + 1):
        height, width = nearest_bucket(percent * 10, 1000, resolution_px)
        assert abs(math.log(width / height / (percent / 100))) < math.log(1.1)


def test_the_nearest_bucket_of_a_square_is_the_square() -> None:
    assert nearest_bucket(333, 333, 1024) == (1024, 1024)
    height, width = nearest_bucket(1920, 1080, 1024)
    assert (height, width) == (768, 1344)
