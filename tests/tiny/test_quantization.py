"""Weights in fewer bits: smaller, and nearly the same result. 4 bits are tested where their library is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from got_models.chain.chain import ReasoningChain
from got_models.diffusion.settings import SamplingSettings
from got_models.errors import GoTError
from got_models.pipeline import GoTModel
from got_models.weights.int8 import Int8Linear
from got_models.weights.quantization import LIBRARIES, check_library, quantize_mllm

CHAIN = ReasoningChain.parse(
    "A red circle (100,200),(400,500) and a blue square (500,500),(900,900).", "generate", "shapes"
)
SIZE = (64, 64)


def weights_in_bytes(module: torch.nn.Module) -> int:
    """All that a module would take on a card, as ComfyUI reckons it."""
    return sum(tensor.nelement() * tensor.element_size() for tensor in module.state_dict().values())


@pytest.fixture(params=["plain", "inference mode"])
def mode(request: pytest.FixtureRequest) -> Iterator[None]:
    """ComfyUI runs all nodes in inference mode: weights are loaded, rounded, moved and used in it."""
    contexts: dict[str, AbstractContextManager[object]] = {
        "plain": nullcontext(),
        "inference mode": torch.inference_mode(),
    }
    with contexts[request.param]:
        yield


# The UNet


def test_fp8_halves_the_unet_of_bfloat16_and_draws_the_same_picture(checkpoint: Path, mode: None) -> None:
    model = GoTModel.from_pretrained(checkpoint, dtype=torch.bfloat16)
    small = GoTModel.from_pretrained(checkpoint, dtype=torch.bfloat16, unet_fp8=True)
    guidance = model.encode(CHAIN, size=SIZE)
    first, second = (
        np.stack(
            [
                np.asarray(each.sample(guidance, SamplingSettings(seed=seed, steps=4)), dtype=float)
                for seed in range(4)
            ]
        )
        for each in (model, small)
    )
    assert weights_in_bytes(small.parts.unet()) < 0.52 * weights_in_bytes(model.parts.unet())
    assert small.parts.unet().dtype == torch.bfloat16
    assert 10 * np.log10(255**2 / ((first - second) ** 2).mean()) >= 30
    assert not np.array_equal(first, second)


def test_what_fp8_has_rounded_once_stays_the_same(checkpoint: Path, mode: None) -> None:
    small = GoTModel.from_pretrained(checkpoint, unet_fp8=True)
    guidance = small.encode(CHAIN, size=SIZE)
    first, second = (small.sample_latents(guidance, SamplingSettings(seed=1, steps=2)) for _ in range(2))
    assert torch.equal(first, second)


# The MLLM


def needs_library(bits: int) -> None:
    if bits in LIBRARIES and find_spec(LIBRARIES[bits]) is None:
        pytest.skip(f"{LIBRARIES[bits]} is not installed")


@pytest.mark.parametrize("bits", [8, 4])
def test_a_smaller_mllm_reads_nearly_the_same(checkpoint: Path, bits: int, mode: None) -> None:
    needs_library(bits)
    model = GoTModel.from_pretrained(checkpoint)
    small = GoTModel.from_pretrained(checkpoint, mllm_bits=bits)
    full, rounded = (each.parts.reasoner().read(CHAIN) for each in (model, small))
    whole, layer = (
        each.parts.reasoner().mllm.get_submodule("model.language_model.layers.0.mlp.up_proj")
        for each in (model, small)
    )
    likeness = torch.nn.functional.cosine_similarity(full.flatten(), rounded.flatten(), dim=0)
    stored = layer.weight.nelement() * layer.weight.element_size()
    assert stored < 1.05 * bits / 8 * whole.weight.nelement()
    assert likeness >= {8: 0.999, 4: 0.95}[bits]
    assert not torch.equal(full, rounded)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_weight_in_8_bits_is_off_by_half_a_step_at_most(dtype: torch.dtype) -> None:
    layer = torch.nn.Linear(512, 3, dtype=dtype)
    with torch.no_grad():
        layer.weight *= torch.tensor([[1.0], [1000.0], [0.0]])
    small = Int8Linear(layer)
    step = small.step.double()[:, None]
    off = (small.weight.double() * step - layer.weight.double()).abs()
    # The largest weight is 127 of the steps, but for these being rounded to the type: 7 bits in bfloat16.
    rounding = {torch.float32: 1e-4, torch.bfloat16: 127 * 2**-8, torch.float16: 127 * 2**-11}[dtype]
    assert (off <= step * max(0.501, rounding)).all()
    torch.testing.assert_close(
        step[:2, 0] * 127, layer.weight[:2].abs().amax(dim=1).double(), rtol=0.01, atol=0
    )
    assert small.weight.dtype == torch.int8
    assert (small.weight.abs() <= 127).all()


def test_8_bits_in_float16_do_not_overflow_where_a_value_is_large() -> None:
    layer = torch.nn.Linear(2048, 64, dtype=torch.float16)
    values = torch.randn(4, 2048, generator=torch.Generator().manual_seed(0)).half()
    values[:, 7] = 3000.0
    expected = layer(values).float()
    received = Int8Linear(layer)(values).float()
    torch.testing.assert_close(received, expected, rtol=0.02, atol=0.5)


def test_an_mllm_in_8_bits_leaves_its_device_and_is_counted_at_its_size(checkpoint: Path, mode: None) -> None:
    full = (
        GoTModel.from_pretrained(checkpoint, dtype=torch.bfloat16).parts.reasoner().mllm.model.language_model
    )
    small = GoTModel.from_pretrained(checkpoint, dtype=torch.bfloat16, mllm_bits=8)
    layers = small.parts.reasoner().mllm.model.language_model.layers
    assert weights_in_bytes(layers) < 0.53 * weights_in_bytes(full.layers)
    for module in layers.modules():
        module.to("meta")  # one after the other, as ComfyUI moves them
    assert {parameter.device.type for parameter in layers.parameters()} == {"meta"}


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, 4, "a_library_that_nobody_has")
    with pytest.raises(GoTError, match=r"4 bits needs a_library_that_nobody_has.*pip install"):
        check_library(4)


def test_a_library_that_fails_is_named() -> None:
    needs_library(4)
    layer = torch.nn.Linear(4, 4).requires_grad_(False)
    layer.weight.data = torch.zeros(4, 4, dtype=torch.int32)
    with pytest.raises(GoTError, match=f"{LIBRARIES[4]} cannot round the language model to 4 bits"):
        quantize_mllm(torch.nn.Sequential(layer), 4)
