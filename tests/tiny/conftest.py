"""One checkpoint for all end-to-end tests: the bundled one, or random weights where that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from got_models.model import GoTModel
from got_models.training.initialize import initialize_checkpoint

BUNDLED = Path(__file__).parents[2] / "got_models" / "tiny"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if (BUNDLED / "got.json").is_file():
        return BUNDLED
    folder = tmp_path_factory.mktemp("checkpoint")
    initialize_checkpoint(folder)
    return folder


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> GoTModel:
    return GoTModel.from_pretrained(checkpoint)
