"""One checkpoint for all end-to-end tests: the bundled one, or random weights if that is missing.

And for LoRA trainings on it: a few pictures, and a short training on them.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from got_models.pipeline import GoTModel
from got_models.training.config import LoraTraining, make_config
from tiny_model.pretraining.initialize import initialize_checkpoint
from tiny_model.world.edits import sample_edit
from tiny_model.world.language import sample_generation
from tiny_model.world.scene import draw

BUNDLED = Path(__file__).parents[2] / "got_models" / "tiny"
STEPS = 6


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


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two generations and two edits of the shapes world, one of them wide."""
    folder = tmp_path_factory.mktemp("dataset")
    rng = random.Random("lora")
    rows = []
    for index, sample in enumerate([sample_generation, sample_generation, sample_edit, sample_edit]):
        example = sample(rng)
        size = (128, 96) if index == 1 else (64, 64)
        row = {"image": f"{index}.png", "prompt": example.prompt, "chain": example.chain.text}
        draw(example.target).resize(size).save(folder / row["image"])
        if example.source is not None:
            row["source"] = f"{index}-source.png"
            draw(example.source).resize(size).save(folder / row["source"])
        rows.append(row)
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


@pytest.fixture
def config(checkpoint: Path, dataset: Path, tmp_path: Path) -> LoraTraining:
    return make_config(
        {
            "checkpoint": str(checkpoint),
            "dataset": str(dataset),
            "out": str(tmp_path / "run"),
            "steps": STEPS,
            "warmup_steps": 1,
            "batch_rows": 2,
            "batches_per_step": 2,
            "resolution_px": 64,
            "precision": "float32",
            "gradient_checkpointing": False,
            "mllm": {"rank": 4, "alpha": 8, "learning_rate": 1e-3},
            "unet": {"rank": 4, "alpha": 8, "learning_rate": 1e-3},
            "projectors_learning_rate": 1e-3,
            "ema_decay": 0.5,
            "save_every_steps": 2,
        }
    )
