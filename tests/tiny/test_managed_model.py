"""What ComfyUI is told of a GOT_MODEL's needs, and how the model makes do with less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.diffusion.settings import GuidanceScales, SamplingSettings
from got_pack.got_models.errors import GoTError
from got_pack.got_models.weights import quantization
from got_pack.nodes._comfy import memory
from got_pack.nodes._model import ManagedModel
from got_pack.nodes.loaders import GoTModelLoader

CHAIN = ReasoningChain.parse("A red circle (250,250),(500,500).", "generate", "a red circle")
SIZE = (64, 96)


@pytest.fixture
def models(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory's models/got, with the checkpoint as "small"."""
    (tmp_path / "models/got").mkdir(parents=True)
    (tmp_path / "models/got/small").symlink_to(checkpoint, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models/got"


@pytest.mark.parametrize(("choice", "dtype"), [("full", torch.float32), ("fp8", torch.float8_e4m3fn)])
def test_the_unets_weights_are_kept_as_the_loader_says(models: Path, choice: str, dtype: torch.dtype) -> None:
    (model,) = GoTModelLoader().load("small", "float32", unet_weights=choice)
    assert model.parts.unet().conv_in.weight.dtype == dtype
    assert model.parts.unet().dtype == torch.float32
    assert model.parts.vae().encoder.conv_in.weight.dtype == torch.float32


def test_a_language_model_without_its_library_is_refused_before_anything_loads(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "LIBRARIES", {4: "a_library_that_nobody_has"})
    with pytest.raises(GoTError, match="pip install a_library_that_nobody_has"):
        GoTModelLoader().load("small", "float32", language_model="4-bit")


@pytest.mark.parametrize(("room", "rows"), [(0.0, [1, 1, 1]), (2.5, [2, 1]), (3.5, [3]), (99.0, [3])])
def test_branches_are_evaluated_together_as_memory_allows(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, room: float, rows: list[int]
) -> None:
    model = ManagedModel.open(checkpoint)
    guidance = model.encode(CHAIN, size=SIZE)
    settings = SamplingSettings(GuidanceScales(3.0, 2.0, 1.0), seed=1, steps=2)  # three branches
    all_together = model.sample_latents(guidance, settings)
    seen: list[int] = []
    model.parts.unet().register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[0]))
    one_branch = 132 * SIZE[0] * SIZE[1] * 4  # bytes, by ComfyUI's rule for SDXL
    monkeypatch.setattr(memory, "free_memory", lambda device: room * one_branch)
    latents = model.sample_latents(guidance, settings)
    assert seen == rows * 2
    torch.testing.assert_close(latents, all_together, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "unet", "vae"), [(torch.float16, 2, 4), (torch.bfloat16, 2, 2), (torch.float32, 4, 4)]
)
def test_room_is_made_for_the_type_that_a_part_computes_in(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, unet: int, vae: int
) -> None:
    """In float16 SDXL's VAE, which would overflow, works in float32 and needs twice as much."""
    asked: list[int] = []

    def load_to_device(patcher: Any, working_memory: int) -> None:
        asked.append(working_memory)

    monkeypatch.setattr(memory, "load_to_device", load_to_device)
    model = ManagedModel.open(checkpoint, dtype=dtype)
    overflows = model.parts.vae(SIZE).config.get("force_upcast", True)
    assert model.parts.unet(SIZE).dtype == dtype
    pixels = SIZE[0] * SIZE[1]
    assert asked == [2178 * pixels * (vae if overflows else dtype.itemsize), 4 * 132 * pixels * unet]


def test_a_weight_that_two_layers_share_counts_once(checkpoint: Path) -> None:
    mllm = ManagedModel.open(checkpoint).parts.reasoner().mllm
    assert mllm.lm_head.weight is mllm.get_input_embeddings().weight
    twice = sum(tensor.nbytes for tensor in mllm.state_dict().values())
    once = twice - mllm.lm_head.weight.nbytes
    assert once <= memory.bytes_of(mllm) < once + 10_000  # and a few numbers that no file holds
