"""What the bundled model is distilled on: prompts that can be read, and sources that belong to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from got_models.constants import BUNDLED_CHECKPOINT
from got_models.training.distillation.prompts import read_prompts
from got_models.weights.distilled import OWN_FILE, check_distilled, distilled_of, own_distilled_adapter
from tiny_model import distillation
from tiny_model.distillation import PROMPTS_FILE, distillation_config, material


def test_the_material_is_captions_and_edits_of_pictures_and_always_the_same(tmp_path: Path) -> None:
    files = material(5, 4)
    assert material(5, 4) == files
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    requests = read_prompts(tmp_path / PROMPTS_FILE).requests
    assert [request.task for request in requests] == ["generate"] * 5 + ["edit"] * 4


def test_its_adapter_fits_into_three_megabytes(tmp_path: Path) -> None:
    config = distillation_config(tmp_path, tmp_path)
    values = 62_416 * config.unet.rank  # inputs and outputs of the layers of the bundled UNet, added up
    assert config.unet.convolutions
    assert values * 2 <= 3_000_000  # in float16


def test_one_command_leaves_the_adapter_in_the_checkpoints_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(BUNDLED_CHECKPOINT, checkpoint)
    few = material(2, 1)
    monkeypatch.setattr(distillation, "material", lambda: few)
    quick = {
        "steps": 1,
        "resolution_px": 64,
        "distill": {"steps": 2, "teacher_steps": 2, "noises_per_plan": 1},
    }
    monkeypatch.setattr(distillation, "SETTINGS", distillation.SETTINGS | quick)
    file = distillation.distill(checkpoint, tmp_path / "run")
    adapter = own_distilled_adapter(checkpoint)
    assert file == checkpoint / OWN_FILE and file.stat().st_size < 3_000_000
    assert adapter is not None
    distilled = distilled_of(adapter)
    assert distilled is not None and distilled.steps == 2
    check_distilled(distilled, checkpoint)
