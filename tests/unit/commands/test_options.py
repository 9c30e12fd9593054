"""What stands behind an option is a value, or one short line that says what was expected."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from got_models.commands.options import positive_integer, scale, seed, size

NINES = "9" * 5000
"""More digits than Python turns into a number."""


@pytest.mark.parametrize("read", [positive_integer, scale, seed, size])
@pytest.mark.parametrize("text", ["", "-", NINES + "y", NINES, f"{NINES}x8", "\udcff"])
def test_a_value_that_cannot_be_used_is_told_shortly(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"expected .*, received ") as refused:
        read(text)
    assert len(str(refused.value)) < 200


def test_a_value_that_can_be_used_is_read() -> None:
    assert seed("9223372036854775807") == 2**63 - 1
    assert size("128x64") == (64, 128)
