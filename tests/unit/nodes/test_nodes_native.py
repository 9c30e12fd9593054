"""What the native nodes tell ComfyUI's classes about a checkpoint."""

from __future__ import annotations

from got_pack.nodes._native.configs import LevelWidth


def test_comfyui_gets_the_width_of_a_level_that_is_no_multiple_of_the_first() -> None:
    first, later = LevelWidth(64), LevelWidth(96)
    assert [64 * width for width in (1, first, later)] == [64, 64, 96]
    assert type(64 * later) is int
