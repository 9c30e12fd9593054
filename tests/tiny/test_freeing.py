"""A model that nobody needs any more is gone at once, without waiting for the garbage collector."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.diffusion.settings import SamplingSettings
from got_pack.got_models.mllm.settings import GenerationSettings
from got_pack.got_models.weights.adapter import Adapter
from got_pack.nodes._model import ManagedModel

CHAIN = ReasoningChain.parse("A red circle (250,250),(500,500).", "generate", "a red circle")


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def use(model: ManagedModel) -> dict[str, weakref.ref[Any]]:
    """Let all parts work; references to the model, to its parts and to all their weights."""
    model.reason(CHAIN.prompt, settings=GenerationSettings(max_new_tokens=2))
    model.sample(model.encode(CHAIN, size=(64, 64)), SamplingSettings(steps=1))
    reasoner = model.parts.reasoner()
    modules = {
        "mllm": reasoner.mllm,
        "ssgm": model.parts.ssgm(),
        "unet": model.parts.unet(),
        "vae": model.parts.vae(),
    }
    owned = {"model": model, "reasoner": reasoner, "read": reasoner.cache, "words": reasoner.tokenizer}
    for part, module in modules.items():
        owned |= {f"{part}.{name}": layer for name, layer in module.named_modules()}
        owned |= {f"{part}.{name}": weight for name, weight in module.named_parameters()}
    return {name: weakref.ref(value) for name, value in owned.items()}


def alive(references: dict[str, weakref.ref[Any]]) -> list[str]:
    return [name for name, reference in references.items() if reference() is not None]


@pytest.mark.parametrize("savings", [{}, {"unet_fp8": True, "mllm_bits": 8}], ids=str)
@pytest.mark.usefixtures("without_collector")
def test_a_model_goes_with_its_last_name_and_one_with_an_adapter_leaves_its_base(
    checkpoint: Path, savings: dict[str, Any]
) -> None:
    base = ManagedModel.open(checkpoint, **savings)
    adapter = Adapter({"unet.conv_out.bias": torch.ones(4), "unet.conv_in.bias": torch.ones(96)}, 1, 1, {})
    model = base.with_adapter(adapter, 1.0, 1.0)
    references = use(model)
    gone = {"model": references.pop("model")}
    del model
    assert alive(gone) == []
    assert len(alive(references)) == len(references)
    references["base"] = weakref.ref(base)
    del base
    assert alive(references) == []
