"""A merged checkpoint is the checkpoint with the adapter, and everything else of it stays as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from got_models.__main__ import main
from got_models.diffusion.settings import SamplingSettings
from got_models.pipeline import GoTModel
from got_models.weights.adapter import TOKENS, Adapter
from got_models.weights.adapter_files import load_adapter, save_adapter
from got_models.weights.distilled import OWN_FILE

from .lora_runs import full_disk

PROMPT = "a red circle above a blue square"
LAYERS = (
    "mllm.model.language_model.layers.1.self_attn.q_proj",
    "mllm.model.language_model.layers.2.mlp.down_proj",
    "unet.conv_in",
    "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0",
)
CHANGED = ("mllm/model.safetensors", "projectors.safetensors", "unet/diffusion_pytorch_model.safetensors")


@pytest.fixture(scope="module")
def adapter(model: GoTModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter with a change of every kind."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return 0.05 * torch.randn(shape, generator=generator)

    modules = {"mllm": model.parts.reasoner().mllm, "unet": model.parts.unet()}
    tensors = {
        TOKENS: noise(66, model.settings.sizes.hidden),
        "projectors.output_projector.projector.bias": noise(model.settings.sizes.cross_attention),
    }
    for layer in LAYERS:
        part, _, name = layer.partition(".")
        out, *inputs = modules[part].get_submodule(name).weight.shape
        tensors[f"{layer}.lora_A"] = noise(4, *inputs)
        tensors[f"{layer}.lora_B"] = noise(out, 4, *(1 for _ in inputs[1:]))
    file = tmp_path_factory.mktemp("adapter") / "adapter.safetensors"
    save_adapter(file, Adapter(tensors, 2.0, 3.0, {}))
    return file


@pytest.fixture(scope="module")
def whole_numbers(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint in float32, in which nothing is rounded when it is written."""
    folder = tmp_path_factory.mktemp("float32") / "checkpoint"
    shutil.copytree(checkpoint, folder)
    for file in folder.rglob("*.safetensors"):
        save_file({name: tensor.float() for name, tensor in load_file(file).items()}, file, {"format": "pt"})
    return folder


def drawn(folder: Path, adapter: Path | None = None, *strengths: float) -> np.ndarray:
    model = GoTModel.from_pretrained(folder)
    if adapter:
        model.apply_adapter(load_adapter(adapter), *strengths)
    return np.asarray(
        model.sample(model.encode(model.reason(PROMPT), size=(64, 64)), SamplingSettings(steps=3)),
        float,
    )


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(first - second).mean()))


def files(folder: Path) -> Iterator[str]:
    yield from sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def test_it_draws_the_adapters_picture_to_the_bit(whole_numbers, adapter, tmp_path, capsys) -> None:
    merged = tmp_path / "merged"
    strengths = ["--mllm-strength", "0.5", "--unet-strength", "2"]
    assert main(["merge", str(whole_numbers), str(adapter), str(merged), *strengths]) == 0
    assert capsys.readouterr().out == f"{merged}\n"
    picture = drawn(merged)
    assert np.array_equal(picture, drawn(whole_numbers, adapter, 0.5, 2.0))
    assert psnr(picture, drawn(whole_numbers)) < 30
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]


def test_formats_settings_and_untouched_parts_stay(checkpoint, adapter, tmp_path) -> None:
    merged = tmp_path / "merged"
    assert main(["merge", str(checkpoint), str(adapter), str(merged)]) == 0
    kept = [name for name in files(checkpoint) if name != OWN_FILE]  # which fits the old weights alone
    assert [name for name in files(merged) if name != "manifest.json"] == kept
    settings = json.loads((checkpoint / "got.json").read_text(encoding="utf-8"))
    del settings["vocabulary"]  # the adapter may have taught it more
    assert json.loads((merged / "got.json").read_text(encoding="utf-8")) == settings
    for name in kept:
        if name == "got.json":
            continue
        if name not in CHANGED:
            assert (merged / name).read_bytes() == (checkpoint / name).read_bytes(), name
            continue
        with safe_open(checkpoint / name, "pt") as before, safe_open(merged / name, "pt") as after:
            assert after.metadata() == before.metadata()
            assert after.keys() == before.keys()
            types = [
                [file.get_slice(key).get_dtype() for key in before.keys()]  # noqa: SIM118
                for file in (before, after)
            ]
            assert types[0] == types[1]
    assert psnr(drawn(merged), drawn(checkpoint, adapter)) > 35


def test_at_strength_0_it_is_the_checkpoint(checkpoint, adapter, tmp_path) -> None:
    merged = tmp_path / "merged"
    arguments = ["merge", str(checkpoint), str(adapter), str(merged), "--mllm-strength", "0"]
    assert main([*arguments, "--unet-strength", "0"]) == 0
    for name in CHANGED:
        before, after = load_file(checkpoint / name), load_file(merged / name)
        assert [key for key in before if not torch.equal(before[key], after[key])] == []


def test_what_cannot_be_merged_is_refused_and_leaves_nothing(checkpoint, adapter, tmp_path, capsys) -> None:
    merged, other = tmp_path / "merged", tmp_path / "other.safetensors"
    save_adapter(other, Adapter({"unet.conv_in.bias": torch.ones(7)}, 1.0, 1.0, {}))
    for arguments, message in (
        (
            [checkpoint, adapter, merged, "--unet-strength", "1e9"],
            "torch.float16 cannot hold. Choose smaller",
        ),
        ([checkpoint, other, merged], "does not fit this checkpoint"),
        ([checkpoint, tmp_path / "none", merged], "missing, truncated"),
        ([tmp_path / "none", adapter, merged], "There is no checkpoint folder"),
        ([checkpoint, adapter, tmp_path], "exists already. Name a new folder"),
    ):
        assert main(["merge", *map(str, arguments)]) == 2
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["other.safetensors"]


def test_a_disk_that_fills_up_is_named_and_the_merge_goes_on_afterwards(
    checkpoint, adapter, tmp_path, capsys
) -> None:
    arguments = ["merge", str(checkpoint), str(adapter), str(tmp_path / "merged")]
    with full_disk():
        assert main(arguments) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "merged").exists()
    assert main(arguments) == 0
    assert psnr(drawn(tmp_path / "merged"), drawn(checkpoint, adapter)) > 35
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]


def test_the_command_line_draws_with_what_was_merged(checkpoint, adapter, tmp_path) -> None:
    assert main(["merge", str(checkpoint), str(adapter), str(tmp_path / "merged")]) == 0
    arguments = ["generate", PROMPT, "--size", "64x64", "--steps", "2", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--checkpoint", str(tmp_path / "merged")]) == 0
    with Image.open(tmp_path / "out" / "image.png") as picture:
        assert picture.size == (64, 64)
