"""Training continues exactly, moves what it should, and leaves a checkpoint that works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from got_models.errors import GoTError
from got_models.training.schedule import learning_rate_share
from got_models.weights.checkpoint import check
from tiny_model.pretraining.config import (
    JointSettings,
    LanguageSettings,
    TrainingConfig,
    UnetSettings,
    VaeSettings,
    VisionSettings,
)
from tiny_model.pretraining.trainer import train

ROOT = Path(__file__).parents[2]

SMALL = TrainingConfig(
    save_every_steps=3,
    encoded_rows=3,
    vision=VisionSettings(steps=3, warmup_steps=1, pictures_per_batch=2),
    language=LanguageSettings(steps=5, warmup_steps=2, generations_per_batch=2, edits_per_batch=1),
    vae=VaeSettings(steps=3, warmup_steps=1),
    detail=VaeSettings(steps=1, warmup_steps=1),
    unet=UnetSettings(steps=3, generations_per_batch=1, edits_per_batch=1, timesteps_per_picture=1),
    joint=JointSettings(
        steps=5, warmup_steps=2, generations_per_batch=1, edits_per_batch=1, timesteps_per_picture=2
    ),
)
"""20 steps in all."""
KILLED_AFTER = 16  # in the stage that trains all parts together

RUN = """
import sys, torch
sys.path.append(sys.argv[1])
torch.set_num_threads(1)
from pathlib import Path
from tests_training_config import SMALL
from tiny_model.pretraining.trainer import train
train(SMALL, Path(sys.argv[2]), resume=sys.argv[3] == "resume")
"""


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return {
        f"{file.relative_to(checkpoint)}:{name}": tensor
        for file in sorted(checkpoint.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def logged(out: Path) -> list[tuple[str, int]]:
    lines = (out / "losses.jsonl").read_text().splitlines()
    return [(line["stage"], line["step"]) for line in map(json.loads, lines)]


@pytest.fixture(scope="module")
def straight_run(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("straight") / "run"
    launch(out, "start").wait()
    return out


def launch(out: Path, how: str) -> subprocess.Popen:
    """The small run in a process of its own, on one thread."""
    config = out.parent / "tests_training_config.py"
    config.write_text(f"from tiny_model.pretraining.config import *\nSMALL = {SMALL!r}\n")
    environment = {**os.environ, "PYTHONPATH": str(out.parent), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(ROOT), str(out), how],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_killed_and_resumed_run_ends_with_the_same_bits(straight_run, tmp_path):
    out = tmp_path / "run"
    process = launch(out, "start")
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        log = out / "losses.jsonl"
        if log.exists() and len(log.read_text().splitlines()) >= KILLED_AFTER:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "checkpoint").exists()
    assert launch(out, "resume").wait() == 0
    resumed, straight = weights(out / "checkpoint"), weights(straight_run / "checkpoint")
    assert resumed.keys() == straight.keys()
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)
    assert logged(out) == logged(straight_run)


def test_the_result_is_a_checkpoint_in_half_precision(straight_run):
    settings = check(straight_run / "checkpoint")
    assert settings.sizes.image_tokens == 64
    stored = weights(straight_run / "checkpoint")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}


def test_the_result_names_no_folder_of_the_machine_it_was_made_on(straight_run):
    for config in (straight_run / "checkpoint").rglob("*.json"):
        assert str(straight_run) not in config.read_text(encoding="utf-8")


def test_the_diffusion_loss_alone_moves_the_mllm(straight_run, tmp_path):
    from tiny_model.pretraining.stages.joint import JointStage

    stage = JointStage(straight_run / "work", replace(SMALL, chain_weight=0.0, readout_weight=0.0))
    sum(stage.losses(stage.module, 0).values()).backward()
    moved = [name for name, value in stage.module.language.mllm.named_parameters() if has_gradient(value)]
    assert any("layers.0.self_attn" in name for name in moved)
    assert not any("visual" in name for name in moved)  # the vision tower rests after its own stage


def has_gradient(parameter: torch.nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.abs().max() > 0)


def test_a_run_is_not_overwritten_and_none_is_resumed_where_there_is_none(straight_run, tmp_path):
    with pytest.raises(GoTError, match="already holds a training run"):
        train(SMALL, straight_run)
    with pytest.raises(GoTError, match="no training run to resume"):
        train(SMALL, tmp_path / "nothing", resume=True)


def test_the_learning_rate_warms_up_and_ends_at_zero():
    shares = [learning_rate_share(step, 100, 10) for step in range(101)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == shares[10] == 1.0
    assert shares[100] == pytest.approx(0.0)
    assert all(later <= earlier for earlier, later in pairwise(shares[10:]))
