"""A distillation needs prompts only, resumes exactly, and its adapter says for what it was made."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from got_models.__main__ import main
from got_models.bench.speeds import distilled
from got_models.diffusion.sampler import BranchBatch, make_scheduler
from got_models.diffusion.settings import SamplingSettings
from got_models.errors import GoTError
from got_models.pipeline import GoTModel
from got_models.training.config import LoraTraining, make_config
from got_models.training.distillation.prompts import read_prompts
from got_models.training.distillation.teacher import signal_shares, step, timesteps
from got_models.training.run_files import ADAPTER_FILE, UNET_LORA_FILE
from got_models.training.trainer import train_lora
from got_models.weights.adapter_files import load_adapter, save_adapter
from got_models.weights.distilled import OWN_FILE
from got_models.weights.merging import merge_adapter

TINY = Path(__file__).parents[3] / "got_models" / "tiny"
LINES = [
    {"prompt": "a red circle", "edits": ["remove the red circle"]},
    {"prompt": "a blue square"},
    {"prompt": "a green star"},
]


def values(folder: Path) -> dict[str, Any]:
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, LINES)))
    return {
        "objective": "distill",
        "checkpoint": str(TINY),
        "prompts": str(folder / "prompts.jsonl"),
        "out": str(folder / "run"),
        "steps": 4,
        "warmup_steps": 1,
        "batch_rows": 2,
        "batches_per_step": 1,
        "resolution_px": 64,
        "precision": "float32",
        "gradient_checkpointing": False,
        "save_every_steps": 2,
        "unet": {"rank": 2, "alpha": 2, "learning_rate": 1e-2},
        "distill": {"steps": 2, "teacher_steps": 4, "noises_per_plan": 2},
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> LoraTraining:
    """A distillation that was stopped and resumed."""
    config = make_config(values(tmp_path_factory.mktemp("distillation")))
    assert train_lora(config, stop_after_steps=3) is None
    assert train_lora(config, resume=True) == Path(config.out) / ADAPTER_FILE
    return config


@pytest.fixture
def fast(trained: LoraTraining) -> GoTModel:
    model = GoTModel.from_pretrained(TINY)
    model.apply_adapter(load_adapter(Path(trained.out) / ADAPTER_FILE))
    return model


def test_a_distillation_resumes_to_the_same_bits(trained: LoraTraining) -> None:
    whole = replace(trained, out=trained.out + "-whole")
    train_lora(whole)
    first, second = (load_file(Path(config.out) / ADAPTER_FILE) for config in (trained, whole))
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert any(name.endswith("lora_B") and tensor.any() for name, tensor in first.items())


def test_it_changes_the_unet_alone_also_for_comfyuis_loader(trained: LoraTraining) -> None:
    names = load_adapter(Path(trained.out) / ADAPTER_FILE).tensors
    assert all(name.startswith("unet.") for name in names)
    lora = load_file(Path(trained.out) / UNET_LORA_FILE)
    assert len(lora) == 3 * len(names) // 2
    assert all(name.startswith("lora_unet_") for name in lora)


def test_its_states_are_those_of_diffusers_euler_sampler(fast: GoTModel, trained: LoraTraining) -> None:
    """The picture of the sampler is where the student's own steps lead."""
    guidance = fast.encode(fast.reason("a blue square"), size=(64, 64))
    drawn = fast.sample_latents(guidance, SamplingSettings(seed=5))
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    schedule = make_scheduler(fast.scheduler_config, "ddpm")
    times = timesteps(2, 1000)
    kept = signal_shares(schedule.alphas_cumprod, times)
    batch = BranchBatch.of(guidance, ("full",), "cpu", torch.float32)
    with torch.no_grad():
        for index, time in enumerate(times):
            noise = batch.predict(fast.parts.unet(), latents, torch.tensor(time))["full"]
            latents = step(latents, noise, kept[index], kept[index + 1])
    assert torch.allclose(drawn, latents, atol=0.05 * float(latents.std()))


def test_a_distilled_adapter_refuses_another_checkpoint_part_of_itself_and_a_merge(
    trained: LoraTraining, tmp_path: Path
) -> None:
    file = Path(trained.out) / ADAPTER_FILE
    adapter = load_adapter(file)
    model = GoTModel.from_pretrained(TINY)
    with pytest.raises(GoTError, match="UNet strength to 1"):
        model.distilled_by(adapter, 0.5)
    assert model.distilled_by(adapter, 0.0) is None
    other = replace(adapter, information=adapter.information | {"distilled": information("another")})
    with pytest.raises(GoTError, match="distilled from another checkpoint"):
        model.distilled_by(other, 1.0)
    damaged = replace(adapter, information={"distilled": {"steps": "four"}})
    with pytest.raises(GoTError, match="Copy it again"):
        model.distilled_by(damaged, 1.0)
    with pytest.raises(GoTError, match="at the speed 'fastest'"):
        merge_adapter(TINY, file, tmp_path / "merged")


def information(unet: str) -> dict[str, Any]:
    scales = {"semantic": 3.0, "spatial": 2.0, "reference": 1.0}
    return {"steps": 4, "scales": {"generate": scales, "edit": scales}, "unet": unet}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"prompt": "a star", "image": "1.png"}', "line 1: Expected an object with 'prompt'"),
        ('"a star"', "line 1: Expected an object"),
        ('{"prompt": ["a star"]}', "'prompt' and 'source' must be texts"),
        ('{"prompt": "a star", "edits": "remove it"}', "'edits' must be a list of texts"),
        ('{"prompt": "make it red", "source": "none.png"}', "there is no such file"),
        ('{"prompt": " "}', "The prompt is empty"),
        ('{"prompt": "a", "prompt": "b"}', "appears twice"),
        ("a star", "Not JSON"),
        ("", "holds no prompts"),
    ],
)
def test_a_line_that_is_no_prompt_is_named(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text(line)
    with pytest.raises(GoTError, match=said):
        read_prompts(file)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompts": ""}, "lacks prompts"),
        ({"distill": {"steps": 4, "teacher_steps": 6}}, "a multiple of distill.steps"),
        ({"unet": {"train": "full"}}, "set unet.train to lora"),
        ({"dataset": "lessons"}, "leave out dataset"),
        ({"objective": "distil"}, "one of pictures, distill"),
    ],
)
def test_a_config_that_cannot_be_distilled_is_refused(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(GoTError, match=said):
        make_config(values(tmp_path) | changes)


@pytest.fixture
def with_own_adapter(trained: LoraTraining, tmp_path: Path) -> Path:
    """A checkpoint that has its distilled adapter in its folder, in half precision as the bundled one's."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(TINY, folder)
    adapter = load_adapter(Path(trained.out) / ADAPTER_FILE)
    half = {name: tensor.half() for name, tensor in adapter.tensors.items()}
    save_adapter(folder / OWN_FILE, replace(adapter, tensors=half))
    return folder


def test_a_checkpoints_own_adapter_is_applied_for_a_while_and_leaves_no_trace(with_own_adapter: Path) -> None:
    model = GoTModel.from_pretrained(with_own_adapter)
    before = {name: weight.clone() for name, weight in model.parts.unet().state_dict().items()}
    with distilled(model, True):
        assert model.distilled is not None and model.distilled.steps == 2
        assert any(not torch.equal(before[name], weight) for name, weight in state(model).items())
    assert model.distilled is None
    assert [name for name, weight in state(model).items() if not torch.equal(before[name], weight)] == []


def state(model: GoTModel) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = model.parts.unet().state_dict()
    return weights


def test_fastest_takes_the_checkpoints_own_adapter_and_says_where_there_is_none(
    with_own_adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "chain.txt"
    plan.write_text("There is a blue square (200,200),(600,600).")
    drawing = ["generate", "a blue square", "--chain", str(plan), "--size", "64x64", "--speed", "fastest"]
    assert main([*drawing, "--checkpoint", str(with_own_adapter), "--out", str(tmp_path / "drawn")]) == 0
    (with_own_adapter / OWN_FILE).unlink()
    assert main([*drawing, "--checkpoint", str(with_own_adapter), "--out", str(tmp_path / "none")]) == 2
    assert "needs an adapter distilled from this checkpoint" in capsys.readouterr().err
