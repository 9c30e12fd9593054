"""Where a training keeps the latents that it computes once."""

from __future__ import annotations

from pathlib import Path

import pytest

from got_models.constants import LESSONS
from got_models.dataset.rows import CACHE_FOLDER
from got_models.training.config import LoraTraining
from got_models.training.trainer import cache_folder

MINE = Path("mine")


@pytest.mark.parametrize(
    ("dataset", "cache", "expected"),
    [
        (MINE, "", MINE / CACHE_FOLDER),
        (LESSONS / "brown_crosses", "", Path("out", CACHE_FOLDER)),
        (LESSONS / "brown_crosses", "elsewhere", Path("elsewhere")),
    ],
)
def test_it_is_the_datasets_folder_unless_that_is_bundled(dataset: Path, cache: str, expected: Path) -> None:
    config = LoraTraining(checkpoint="checkpoint", dataset=str(dataset), out="out", cache=cache)
    assert cache_folder(config, dataset) == expected
