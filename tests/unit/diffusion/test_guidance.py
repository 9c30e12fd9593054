"""Guidance scales become branch coefficients, and branches one prediction."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from got_models.diffusion.guidance import (
    BRANCHES,
    Guidance,
    active_branches,
    branch_coefficients,
    branch_inputs,
    combine,
)
from got_models.diffusion.settings import GuidanceScales
from got_models.errors import GoTError

scale = st.floats(-20, 20)


def make_guidance() -> Guidance:
    generator = torch.Generator().manual_seed(0)
    return Guidance(
        semantic=torch.randn(1, 64, 32, generator=generator),
        null_semantic=torch.randn(1, 64, 32, generator=generator),
        pooled=torch.randn(1, 16, generator=generator),
        spatial=torch.randn(1, 4, 4, 6, generator=generator),
        reference=torch.randn(1, 4, 4, 6, generator=generator),
        size=(32, 48),
        task="generate",
    )


@given(scale, scale, scale)
def test_coefficients_sum_to_one(semantic: float, spatial: float, reference: float) -> None:
    coefficients = branch_coefficients(GuidanceScales(semantic, spatial, reference))
    assert math.isclose(sum(coefficients.values()), 1.0, abs_tol=1e-9)


@given(scale, scale, scale)
def test_combine_is_equation_one(semantic: float, spatial: float, reference: float) -> None:
    null, only_reference, no_boxes, full = 0.5, -1.25, 2.0, 3.5
    predictions = {"full": full, "semantic": no_boxes, "reference": only_reference, "null": null}
    expected = (
        null
        + semantic * (no_boxes - only_reference)
        + spatial * (full - no_boxes)
        + reference * (only_reference - null)
    )
    tensors = {branch: torch.tensor([value], dtype=torch.float64) for branch, value in predictions.items()}
    combined = combine(tensors, GuidanceScales(semantic, spatial, reference))
    assert math.isclose(combined.item(), expected, abs_tol=1e-9)


def test_branches_in_few_bits_are_combined_in_float32() -> None:
    predictions = {
        branch: torch.linspace(-1, 1, 999).mul(factor).bfloat16()
        for branch, factor in zip(BRANCHES, (1.0, 0.99, 1.01, 0.98), strict=True)
    }
    scales = GuidanceScales(7.5, 4.0, 1.5)
    exact = combine({name: values.double() for name, values in predictions.items()}, scales)
    combined = combine(predictions, scales)
    assert combined.dtype == torch.float32
    torch.testing.assert_close(combined.double(), exact, rtol=0, atol=1e-6)


def test_published_defaults_need_three_branches_for_generation_and_four_for_editing() -> None:
    assert active_branches(GuidanceScales(7.5, 4.0, 1.0)) == ("full", "semantic", "reference")
    assert active_branches(GuidanceScales(4.0, 3.0, 1.5)) == BRANCHES


def test_scales_of_one_need_the_full_branch_alone() -> None:
    assert active_branches(GuidanceScales(1, 1, 1)) == ("full",)


def test_coefficient_of_rounding_size_counts_as_zero() -> None:
    assert "reference" not in active_branches(GuidanceScales(0.1 + 0.2, 4.0, 0.3))


def test_combine_names_the_missing_branch() -> None:
    with pytest.raises(GoTError, match="missing: semantic, reference"):
        combine({"full": torch.zeros(1)}, GuidanceScales(7.5, 4.0, 1.0))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "7", None, True])
@pytest.mark.parametrize("name", ["semantic", "spatial", "reference"])
def test_scales_refuse_what_is_not_a_finite_number(name: str, value: object) -> None:
    values = {"semantic": 1.0, "spatial": 1.0, "reference": 1.0} | {name: value}
    with pytest.raises(GoTError, match=f"The {name} scale must be a finite number, got"):
        GuidanceScales(**values)


def test_each_branch_sees_its_share_of_the_guidance() -> None:
    guidance = make_guidance()
    zeros = torch.zeros(1, 4, 4, 6)
    expected = {
        "full": (guidance.semantic, guidance.spatial, guidance.reference),
        "semantic": (guidance.semantic, zeros, guidance.reference),
        "reference": (guidance.null_semantic, zeros, guidance.reference),
        "null": (guidance.null_semantic, zeros, zeros),
    }
    for branch, tensors in expected.items():
        for received, wanted in zip(branch_inputs(guidance, branch), tensors, strict=True):
            assert torch.equal(received, wanted), branch


def test_branch_inputs_refuse_an_unknown_branch() -> None:
    with pytest.raises(GoTError, match="got 'spatial'"):
        branch_inputs(make_guidance(), "spatial")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"semantic": torch.zeros(64, 32)}, r"must be \[b, n, Dc\], got \[64, 32\]"),
        ({"null_semantic": torch.zeros(1, 64, 31)}, r"\[1, 64, 32\], got \[1, 64, 31\]"),
        ({"pooled": torch.zeros(2, 16)}, r"must be \[1, Dp\], got \[2, 16\]"),
        ({"spatial": torch.zeros(1, 4, 6, 4)}, r"Spatial guidance .* \[1, 4, 4, 6\], got \[1, 4, 6, 4\]"),
        ({"reference": torch.zeros(1, 3, 4, 6)}, r"Reference guidance .* got \[1, 3, 4, 6\]"),
        ({"size": (48, 32)}, r"48 high and 32 wide must be \[1, 4, 6, 4\], got \[1, 4, 4, 6\]"),
        ({"pooled": torch.full((1, 16), math.nan)}, "'pooled' holds NaN"),
        ({"task": "paint"}, "got 'paint'"),
    ],
)
def test_guidance_refuses_tensors_that_do_not_belong_together(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(GoTError, match=message):
        replace(make_guidance(), **change)
