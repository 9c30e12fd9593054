"""Training continues exactly, moves what it should, and leaves a checkpoint that works."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
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
    AnswerCounts,
    JointSettings,
    LanguageSettings,
    TrainingConfig,
    UnetSettings,
    VaeSettings,
    VisionSettings,
)
from tiny_model.pretraining.stages.vae import VaeStage
from tiny_model.pretraining.trainer import prepare_run, run_stage, train

ROOT = Path(__file__).parents[2]

SMALL = TrainingConfig(
    save_every_steps=3,
    encoded_rows=3,
    vision=VisionSettings(steps=3, warmup_steps=1, pictures_per_batch=2),
    language=LanguageSettings(
        steps=5,
        warmup_steps=2,
        answers=AnswerCounts(generations=2, edits=1, questions=1),
        drawn_generations=1,
        drawn_edits=1,
    ),
    vae=VaeSettings(steps=3, warmup_steps=1),
    detail=VaeSettings(steps=1, warmup_steps=1),
    hue=VaeSettings(steps=1, warmup_steps=1),
    decoder=VaeSettings(steps=1, warmup_steps=1),
    unet=UnetSettings(steps=3, generations_per_batch=1, edits_per_batch=1, timesteps_per_picture=1),
    joint=JointSettings(
        steps=5,
        warmup_steps=2,
        answers=AnswerCounts(generations=1, edits=1, questions=1),
        generations_per_batch=1,
        edits_per_batch=1,
        timesteps_per_picture=2,
    ),
)
"""20 steps in all."""
KILLED_AFTER = ("vae", 2), ("joint", 2)
"""Stages, and how many of their steps have been taken when the run is killed: once with two side by side."""

# Every life is a fork of one process, which has imported all that training needs and computed nothing.
LIVES = """
import os, signal, sys, time
from pathlib import Path
sys.path.append(sys.argv[1])
from tests_training_config import KILLED_AFTER, SMALL
import tiny_model.pretraining.stages.joint
from tiny_model.pretraining.trainer import train


def begin(out, **options):
    child = os.fork()
    if child == 0:
        try:
            train(SMALL, out, **options)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return child


straight, killed = (Path(folder) for folder in sys.argv[2:])
if os.waitpid(begin(straight), 0)[1]:
    sys.exit("the straight run failed")
for resume, (stage, steps) in enumerate(KILLED_AFTER):
    child = begin(killed, resume=bool(resume), side_by_side=True)
    log = killed / f"losses-{stage}.jsonl"
    while not log.exists() or len(log.read_text().splitlines()) < steps:
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            sys.exit("it ended before it could be killed")
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
if (killed / "checkpoint").exists():
    sys.exit("the killed run left a checkpoint")
if os.waitpid(begin(killed, resume=True), 0)[1]:
    sys.exit("the resumed run failed")
"""


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return {
        f"{file.relative_to(checkpoint)}:{name}": tensor
        for file in sorted(checkpoint.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def logged(out: Path) -> dict[str, list[int]]:
    return {
        log.name: [json.loads(line)["step"] for line in log.read_text().splitlines()]
        for log in out.glob("losses-*.jsonl")
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Path, Path]:
    """The small run without a stop, and one with MLLM and VAE side by side, killed twice and resumed."""
    folder = tmp_path_factory.mktemp("runs")
    config = (
        f"from tiny_model.pretraining.config import *\nSMALL = {SMALL!r}\nKILLED_AFTER = {KILLED_AFTER}\n"
    )
    (folder / "tests_training_config.py").write_text(config)
    straight, killed = folder / "straight", folder / "killed"
    lives = subprocess.run(
        [sys.executable, "-c", LIVES, ROOT, straight, killed],
        env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert lives.returncode == 0, lives.stderr[-2000:]
    return straight, killed


@pytest.fixture(scope="module")
def straight_run(runs) -> Path:
    return runs[0]


def test_a_killed_and_resumed_run_ends_with_the_same_bits(runs):
    straight_run, resumed_run = runs
    resumed, straight = weights(resumed_run / "checkpoint"), weights(straight_run / "checkpoint")
    assert resumed.keys() == straight.keys()
    assert [name for name in straight if not torch.equal(resumed[name], straight[name])] == []
    assert logged(resumed_run) == logged(straight_run)


def test_a_run_that_ends_while_a_stage_writes_its_result_does_not_train_it_twice(monkeypatch, tmp_path):
    def saved(folder: Path) -> torch.Tensor:
        file = folder / "work" / "vae" / "diffusion_pytorch_model.safetensors"
        return torch.cat([tensor.flatten() for _, tensor in sorted(load_file(file).items())])

    def save_and_end(stage: VaeStage, folder: Path) -> None:
        save(stage, folder)
        raise KeyboardInterrupt

    save, results = VaeStage.save, []
    for out in (tmp_path / "straight", tmp_path / "ended"):
        prepare_run(SMALL, out, resume=False)
        if out.name == "ended":
            monkeypatch.setattr(VaeStage, "save", save_and_end)
            with pytest.raises(KeyboardInterrupt):
                run_stage(VaeStage, SMALL, out, math.inf)
            monkeypatch.undo()
        run_stage(VaeStage, SMALL, out, math.inf)
        results.append(saved(out))
    assert torch.equal(*results)


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

    stage = JointStage(
        straight_run / "work",
        replace(SMALL, chain_weight=0.0, readout_weight=0.0, lookup_weight=0.0),
    )
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
