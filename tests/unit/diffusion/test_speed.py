"""Speed is one choice; what is set by hand wins over it or is refused, never ignored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from got_models.diffusion.settings import GuidanceScales, SamplingSettings
from got_models.diffusion.speed import Defaults, Distilled, evaluated_scales, resolved
from got_models.errors import GoTError

SCALES = GuidanceScales(3.0, 2.0, 1.0)
OWN = Defaults(SCALES, 50, "exact")
QUICK = replace(OWN, speed="fast")
DISTILLED = Distilled(4, {"generate": SCALES, "edit": SCALES}, "digest")


def plainly(given: SamplingSettings, own: Defaults, distilled: Distilled | None = None) -> tuple:
    settings = resolved(given, "generate", own, distilled)
    assert resolved(settings, "generate", own, distilled) == settings
    return settings.steps, settings.scheduler, settings.speed


@pytest.mark.parametrize(
    ("given", "own", "expected"),
    [
        (SamplingSettings(), OWN, (50, "ddpm", "exact")),
        (SamplingSettings(), QUICK, (8, "euler", "fast")),
        (SamplingSettings(speed="exact"), QUICK, (50, "ddpm", "exact")),
        (SamplingSettings(speed="fast"), OWN, (8, "euler", "fast")),
        (SamplingSettings(speed="fast", steps=6), OWN, (6, "euler", "fast")),
        (SamplingSettings(scheduler="ddpm"), QUICK, (50, "ddpm", None)),
        (SamplingSettings(scheduler="unipc", steps=3), QUICK, (3, "unipc", None)),
        (SamplingSettings(steps=20), QUICK, (20, "euler", None)),
        (SamplingSettings(steps=2), OWN, (2, "ddpm", None)),
        (SamplingSettings(speed="exact"), replace(OWN, steps=10), (10, "ddpm", "exact")),
    ],
)
def test_what_is_not_given_comes_from_the_speed(
    given: SamplingSettings, own: Defaults, expected: tuple
) -> None:
    assert plainly(given, own) == expected


@pytest.mark.parametrize("given", [SamplingSettings(), SamplingSettings(SCALES, speed="fastest", steps=4)])
def test_a_distilled_unet_draws_in_its_own_steps_and_one_branch(given: SamplingSettings) -> None:
    settings = resolved(given, "generate", QUICK, DISTILLED)
    assert (settings.steps, settings.scheduler, settings.speed) == (4, "euler", "fastest")
    assert settings.scales == SCALES  # those of the guidance that it has learned
    assert evaluated_scales(settings, 1.0) == GuidanceScales(1.0, 1.0, 1.0)


def test_fast_is_guided_until_little_noise_is_left_and_other_steps_all_along() -> None:
    fast, exact = (SamplingSettings(SCALES, speed=speed) for speed in ("fast", "exact"))
    assert [evaluated_scales(fast, noise) for noise in (0.2, 0.19)] == [SCALES, GuidanceScales(1.0, 1.0, 1.0)]
    assert evaluated_scales(exact, 0.0) == evaluated_scales(SamplingSettings(SCALES), 0.0) == SCALES


@pytest.mark.parametrize(
    ("given", "distilled", "said"),
    [
        (SamplingSettings(speed="fastest"), None, "needs an adapter distilled from this checkpoint"),
        (SamplingSettings(speed="fastest", steps=2), DISTILLED, "distilled for 4 steps, got 2"),
        (SamplingSettings(steps=20), DISTILLED, "distilled for 4 steps, got 20"),
        (
            SamplingSettings(GuidanceScales(7.0, 2.0, 1.0), speed="fastest"),
            DISTILLED,
            "semantic 3, spatial 2 and reference 1; got 7, 2 and 1",
        ),
        (SamplingSettings(speed="fast"), DISTILLED, "take the adapter out"),
        (SamplingSettings(speed="fast", steps=2), None, "at least 4 steps, got 2"),
        (SamplingSettings(speed="exact", steps=8), None, "at least 20 steps, got 8"),
        (SamplingSettings(speed="fast", scheduler="ddpm"), None, "draws with euler"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    given: SamplingSettings, distilled: Distilled | None, said: str
) -> None:
    with pytest.raises(GoTError, match=said):
        resolved(given, "generate", OWN, distilled)


def test_an_unknown_speed_names_the_known_ones() -> None:
    with pytest.raises(GoTError, match="exact, fast, fastest"):
        SamplingSettings(speed="slow")


def test_a_scale_that_fits_into_no_float_is_refused_by_name() -> None:
    for value in (10**400, -(10**400), float("nan"), float("inf")):
        with pytest.raises(GoTError, match="spatial scale must be a finite number"):
            GuidanceScales(1.0, value, 1.0)
