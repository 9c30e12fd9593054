"""Reading the values that a grid varies."""

from __future__ import annotations

import pytest

from got_models.diffusion.settings import GuidanceScales, SamplingSettings
from got_models.errors import GoTError
from got_models.sweep.axes import read_axis
from got_models.sweep.drawing import check_axes

SETTINGS = SamplingSettings(GuidanceScales(4.0, 3.0, 1.5), seed=1, steps=8)


@pytest.mark.parametrize(
    ("name", "values", "changed"),
    [
        ("spatial", "0, 2.5", {"scales": GuidanceScales(4.0, 2.5, 1.5)}),
        ("semantic", "1 -1", {"scales": GuidanceScales(-1.0, 3.0, 1.5)}),
        ("steps", "4\uff0c20", {"steps": 20}),
        ("seed", "0,7", {"seed": 7}),
        ("adapter", "0, 0.5", {}),
    ],
)
def test_a_value_replaces_that_of_its_setting_alone(
    name: str, values: str, changed: dict[str, object]
) -> None:
    axis = read_axis(name, values)
    applied = axis.applied(1, SETTINGS)
    assert vars(applied) == {**vars(SETTINGS), **changed}
    assert axis.labels[1].startswith(f"{name} ")


def test_a_large_seed_is_drawn_with_and_written_to_its_last_digit() -> None:
    axis = read_axis("seed", "9223372036854775807, 123456789, 1e3")
    assert axis.applied(0, SETTINGS).seed == 2**63 - 1
    assert axis.labels == ["seed 9223372036854775807", "seed 123456789", "seed 1000"]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("color", "1", "one of semantic"),
        ("spatial", " , ", "1 to 12 values of spatial"),
        ("spatial", "1 " * 13, "got 13"),
        ("spatial", "1, two", "'two'"),
        ("spatial", "nan", "'nan'"),
        ("spatial", "1e9", "-100 to 100"),
        ("steps", "2.5", "whole number"),
        ("steps", "0", "1 to 1000"),
        ("seed", "9223372036854775808", "whole number from 0"),
        ("seed", "1" * 5000, "whole number from 0"),
        ("seed", "-1", "whole number from 0"),
        ("seed", "inf", "'inf'"),
        ("adapter", "0, 11", "-10 to 10"),
    ],
)
def test_what_a_setting_cannot_take_is_refused(name: str, values: str, message: str) -> None:
    with pytest.raises(GoTError, match=message):
        read_axis(name, values)


def test_two_axes_need_two_settings_and_not_too_many_pictures() -> None:
    twelve = " ".join(map(str, range(1, 13)))
    with pytest.raises(GoTError, match="Both axes vary steps"):
        check_axes(read_axis("steps", "1"), read_axis("steps", "2"))
    with pytest.raises(GoTError, match="these values make 144"):
        check_axes(read_axis("steps", twelve), read_axis("seed", twelve))
