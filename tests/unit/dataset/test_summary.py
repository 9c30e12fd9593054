"""A dataset in figures and as a sheet of pictures."""

from __future__ import annotations

from pathlib import Path

from got_models.dataset.summary import preview, statistics

from .folders import CANONICAL, EDIT, GOOD, read


def test_the_figures_count_what_is_there(folder: Path) -> None:
    figures = statistics(read(folder, GOOD, GOOD, EDIT, GOOD | {"chain": "A cup."}, {}), 128)
    assert figures["usable rows"] == "4" and figures["bad rows"] == "1"
    assert figures["generations"] == "3" and figures["edits"] == "1"
    assert figures["rows that repeat another"] == "1"
    assert figures["boxes per chain"] == "0 to 1, mean 0.8"
    assert figures["chains without boxes"] == "1"
    assert figures["trained at 160 x 104"] == "4"


def test_the_figures_of_an_empty_dataset_are_zeros(folder: Path) -> None:
    assert statistics(read(folder), 128)["usable rows"] == "0"


def test_the_preview_shows_the_box_in_its_colour_over_the_picture(folder: Path) -> None:
    blue = GOOD | {"image": "square.png", "chain": CANONICAL.replace("(red)", "(lime)")}
    sheet = preview(read(folder, blue), 4)
    colors = {color for _, color in sheet.getcolors(sheet.width * sheet.height)}
    assert (0, 255, 0) in colors and (0, 0, 255) in colors
