"""Grids of settings, on the command line and as a node, on a small checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.errors import GoTError
from got_pack.got_models.weights.adapter import Adapter
from got_pack.got_models.weights.adapter_files import save_adapter
from got_pack.nodes._model import ManagedModel
from got_pack.nodes.guidance import EncodedPlan, GoTSSGMEncode
from got_pack.nodes.sampling import GoTSampler
from got_pack.nodes.sweeping import GoTSweep
from PIL import Image

from got_models.__main__ import main
from got_models.pipeline import GoTModel

TEXT = "A red circle (250,250),(500,500) on a white background."
CHAIN = ReasoningChain.parse(TEXT, "generate", "a red circle")


@pytest.fixture(scope="module")
def got(checkpoint: Path) -> ManagedModel:
    return ManagedModel.open(checkpoint)


@pytest.fixture(scope="module")
def plan(got: ManagedModel) -> EncodedPlan:
    encoded: EncodedPlan = GoTSSGMEncode().encode(got, CHAIN, width=64, height=64)["result"][0]
    return encoded


def swept(got: ManagedModel, plan: EncodedPlan, **changes: Any) -> tuple[torch.Tensor, ...]:
    widgets = {
        "across": "spatial",
        "across_values": "0, 4",
        "down": "seed",
        "down_values": "5, 6, 7",
        "seed": 1,
        "check": False,
        "steps": 2,
        "scheduler": "euler",
    }
    scales = {"semantic_scale": -1.0, "spatial_scale": -1.0, "reference_scale": -1.0}
    result: tuple[torch.Tensor, ...] = GoTSweep().sweep(got, plan, **{**widgets, **scales, **changes})
    return result


def test_every_picture_is_the_one_that_the_sampler_draws_with_its_settings(
    got: ManagedModel, plan: EncodedPlan
) -> None:
    grid, pictures, branches = swept(got, plan)
    assert len(pictures) == 6 and len(grid) == len(branches) == 1
    second_row = GoTSampler().sample(got, plan, 6, 2, "euler", -1.0, 4.0, -1.0, True)["result"][1]
    assert torch.equal(pictures[3:4], second_row)


def test_nothing_down_makes_one_row(got: ManagedModel, plan: EncodedPlan) -> None:
    _, pictures, _ = swept(got, plan, down="nothing", down_values="not read")
    assert len(pictures) == 2


def test_a_batch_and_a_plan_that_cannot_be_checked_are_refused(got: ManagedModel, plan: EncodedPlan) -> None:
    bare = ReasoningChain.parse("Nothing has a box.", "generate", "nothing")
    with pytest.raises(GoTError, match="no box"):
        swept(got, EncodedPlan(plan.guidance, bare, None, plan.default_scales), check=True)
    with pytest.raises(GoTError, match="1 to 12 values"):
        swept(got, plan, across_values="")


def bias(changed: float = 0.5, part: str = "unet.conv_out.bias") -> Adapter:
    """An adapter that draws everything brighter, or changes another part."""
    return Adapter({part: torch.full((4,), changed)}, 1.0, 1.0, {})


def test_an_adapters_pictures_are_those_of_the_loader_at_each_strength_and_the_model_stays(
    got: ManagedModel, plan: EncodedPlan
) -> None:
    def sampled(model: ManagedModel) -> torch.Tensor:
        picture: torch.Tensor = GoTSampler().sample(model, plan, 1, 2, "euler", -1.0, -1.0, -1.0, True)[
            "result"
        ][1]
        return picture

    under, over = bias(0.25), bias()
    model = got.with_adapter(under, 1.0, 1.0).with_adapter(over, 0.5, 1.0)
    before = sampled(model)
    _, pictures, _ = swept(model, plan, across="adapter", across_values="0, 0.5, 1", down="nothing")
    for number, strength in enumerate((0.0, 0.5, 1.0)):
        loaded = got.with_adapter(under, 1.0, 1.0).with_adapter(over, 0.5, strength)
        assert torch.equal(pictures[number : number + 1], sampled(loaded))
    assert not torch.equal(pictures[0], pictures[1]) and torch.equal(sampled(model), before)


def test_a_model_whose_adapter_cannot_vary_is_told_before_anything_is_drawn(
    got: ManagedModel, plan: EncodedPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ManagedModel, "sample", None)
    varied = {"down": "adapter", "down_values": "0, 1"}
    with pytest.raises(GoTError, match="no adapter whose strength"):
        swept(got, plan, **varied)
    plans_alone = got.with_adapter(bias(part="projectors.output_projector.projector.bias"), 1.0, 1.0)
    with pytest.raises(GoTError, match="changes plans alone"):
        swept(plans_alone, plan, **varied)
    with pytest.raises(GoTError, match="cannot hold"):
        swept(got.with_adapter(bias(60000.0), 1.0, 1.0), plan, **varied | {"down_values": "0, -2"})


def test_the_command_draws_an_adapter_at_each_strength(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The heat maps are drawn first, at the strength that the options give."""
    (tmp_path / "chain.txt").write_text(TEXT)
    save_adapter(tmp_path / "a.safetensors", bias())
    biases: list[float] = []
    sample = GoTModel.sample

    def watched(self: GoTModel, *given: Any, **named: Any) -> Image.Image:
        biases.append(round(float(self.parts.unet().conv_out.bias[0]), 4))
        return sample(self, *given, **named)

    monkeypatch.setattr(GoTModel, "sample", watched)
    options = ["--checkpoint", str(checkpoint), "--steps", "1", "--size", "64x64", "--scheduler", "euler"]
    options += ["--chain", str(tmp_path / "chain.txt"), "--across", "adapter=0,0.5,1", "--down", "seed=1,2"]
    given = ["sweep", "a red circle", *options, "--out", str(tmp_path / "out")]
    assert main(given) == 2
    assert "--adapter FILE" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert main([*given, "--adapter", str(tmp_path / "a.safetensors"), "--unet-strength", "2"]) == 0
    bare = biases[1]
    assert [round(value - bare, 4) for value in biases] == [1.0, 0, 0.25, 0.5, 0, 0.25, 0.5]


def test_the_command_writes_both_sheets(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = tmp_path / "chain.txt"
    chain.write_text(TEXT)
    given = ["sweep", "a red circle", "--checkpoint", str(checkpoint), "--chain", str(chain)]
    options = ["--steps", "2", "--size", "64x64", "--scheduler", "euler", "--out", str(tmp_path / "out")]
    assert main([*given, "--across", "spatial=0,4", *options]) == 0
    assert f"{tmp_path / 'out' / 'sweep.png'}" in capsys.readouterr().out
    for name in ("sweep.png", "branches.png"):
        with Image.open(tmp_path / "out" / name) as picture:
            assert min(picture.size) > 64


def test_an_axis_that_cannot_be_read_is_said_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["sweep", "a red circle", "--across", "color=1", "--out", str(tmp_path / "out")])
    assert "A grid varies one of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_branches_add_is_shown_at_scales_that_need_only_one(
    got: ManagedModel, plan: EncodedPlan
) -> None:
    alike = {"semantic_scale": 1.0, "spatial_scale": 1.0, "reference_scale": 1.0}
    *_, at_one_scale = swept(got, plan, **alike)
    *_, at_several = swept(got, plan, semantic_scale=3.0, spatial_scale=2.0, reference_scale=1.5)
    assert at_one_scale.shape == at_several.shape


def test_a_changed_chains_prompt_follows_the_one_before(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before.txt", tmp_path / "after.txt"
    before.write_text(TEXT)
    after.write_text(TEXT.replace("red circle", "blue circle"))
    given = ["sweep", "a red circle", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "out")]
    options = ["--across", "seed=1", "--steps", "1", "--size", "64x64", "--scheduler", "euler"]
    assert main([*given, *options, "--chain", str(after), "--edited-from", str(before)]) == 0
    assert "prompt: a blue circle" in capsys.readouterr().err
