"""Weights in fewer bits: smaller, and nearly the same result. The MLLM's where its libraries are there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from got_models.chain import ReasoningChain
from got_models.errors import GoTError
from got_models.model import GoTModel
from got_models.quantization import LIBRARIES, check_library, quantize_mllm

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


def stored_bytes(weight: torch.Tensor) -> int:
    """torchao's tensors say the type that they stand for; what they are made of says what it is kept in."""
    if hasattr(weight, "__tensor_flatten__"):
        return sum(stored_bytes(getattr(weight, name)) for name in weight.__tensor_flatten__()[0])
    return weight.nelement() * weight.element_size()


# The UNet


def test_fp8_halves_the_unet_of_bfloat16_and_draws_the_same_picture(checkpoint: Path, mode: None) -> None:
    model = GoTModel.from_pretrained(checkpoint, dtype=torch.bfloat16)
    small = GoTModel.from_pretrained(checkpoint, dtype=torch.bfloat16, unet_fp8=True)
    guidance = model.encode(CHAIN, size=SIZE)
    first, second = (
        np.asarray(each.sample(guidance, seed=1, steps=4), dtype=float) for each in (model, small)
    )
    assert weights_in_bytes(small.unet) < 0.52 * weights_in_bytes(model.unet)
    assert small.unet.dtype == torch.bfloat16
    assert 10 * np.log10(255**2 / ((first - second) ** 2).mean()) >= 30
    assert not np.array_equal(first, second)


def test_what_fp8_has_rounded_once_stays_the_same(checkpoint: Path, mode: None) -> None:
    small = GoTModel.from_pretrained(checkpoint, unet_fp8=True)
    guidance = small.encode(CHAIN, size=SIZE)
    first, second = (small.sample_latents(guidance, seed=1, steps=2) for _ in range(2))
    assert torch.equal(first, second)


# The MLLM

every_size = pytest.mark.parametrize("bits", sorted(LIBRARIES))


def needs_library(bits: int) -> None:
    if find_spec(LIBRARIES[bits]) is None:
        pytest.skip(f"{LIBRARIES[bits]} is not installed")


@every_size
def test_a_smaller_mllm_reads_nearly_the_same(checkpoint: Path, bits: int, mode: None) -> None:
    needs_library(bits)
    model = GoTModel.from_pretrained(checkpoint)
    small = GoTModel.from_pretrained(checkpoint, mllm_bits=bits)
    full, rounded = (each.reasoner.read(CHAIN) for each in (model, small))
    layer = small.reasoner.mllm.get_submodule("model.language_model.layers.0.mlp.up_proj")
    likeness = torch.nn.functional.cosine_similarity(full.flatten(), rounded.flatten(), dim=0)
    assert stored_bytes(layer.weight) < 1.05 * bits / 8 * layer.in_features * layer.out_features
    assert likeness >= {8: 0.999, 4: 0.95}[bits]
    assert not torch.equal(full, rounded)


@every_size
def test_a_library_that_is_missing_is_named(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, bits, "a_library_that_nobody_has")
    with pytest.raises(GoTError, match=rf"{bits} bits needs a_library_that_nobody_has.*pip install"):
        check_library(bits)


@every_size
def test_a_library_that_fails_is_named(bits: int) -> None:
    needs_library(bits)
    layer = torch.nn.Linear(4, 4).requires_grad_(False)
    layer.weight.data = torch.zeros(4, 4, dtype=torch.int32)
    with pytest.raises(GoTError, match=f"{LIBRARIES[bits]} cannot round the language model to {bits} bits"):
        quantize_mllm(torch.nn.Sequential(layer), bits)
