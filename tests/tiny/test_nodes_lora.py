"""Models that have taken up adapters: they share their base's parts, and none leaves a trace in another."""

from __future__ import annotations

import gc
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.diffusion.settings import SamplingSettings
from got_pack.got_models.errors import GoTError
from got_pack.got_models.pipeline import GoTModel
from got_pack.got_models.weights.adapter import Adapter
from got_pack.got_models.weights.adapter_files import save_adapter
from got_pack.got_models.weights.parts import PartLoader, PartName
from got_pack.got_models.weights.patching import Change
from got_pack.nodes._model import ManagedModel, ManagedPart
from got_pack.nodes.lora import FROM_TRAINING, GoTLoraLoader

CHAIN = ReasoningChain.parse("A red circle (250,250),(500,500).", "generate", "a red circle")
SIZE = (64, 64)
LAYER = "model.language_model.layers.0.self_attn.q_proj"


@pytest.fixture
def base(checkpoint: Path) -> ManagedModel:
    return ManagedModel.open(checkpoint)


@pytest.fixture(scope="module")
def adapter(checkpoint: Path) -> Adapter:
    """Noise on one layer of each part and on the tokens."""
    model = GoTModel.from_pretrained(checkpoint)
    out, width = model.parts.reasoner().mllm.get_parameter(f"{LAYER}.weight").shape
    projector = "output_projector.projector.weight"
    random = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random) * 0.1

    return Adapter(
        {
            f"mllm.{LAYER}.lora_A": noise(4, width),
            f"mllm.{LAYER}.lora_B": noise(out, 4),
            "mllm.special_tokens": noise(66, width),
            f"projectors.{projector}": noise(*model.parts.ssgm().get_parameter(projector).shape),
            "unet.conv_out.weight": noise(*model.parts.unet().conv_out.weight.shape),
        },
        mllm_scale=2.0,
        unet_scale=1.0,
        information={},
    )


def latents(model: GoTModel) -> torch.Tensor:
    return model.sample_latents(
        model.encode(CHAIN, size=SIZE), SamplingSettings(seed=0, steps=1, scheduler="euler")
    )


@pytest.mark.parametrize("strengths", [(1.0, 1.0), (0.5, 0.0), (0.0, -1.0)])
def test_it_draws_as_a_model_that_was_changed_in_place_and_its_base_as_before(
    base: ManagedModel, adapter: Adapter, checkpoint: Path, strengths: tuple[float, float]
) -> None:
    plain = latents(base)
    changed = GoTModel.from_pretrained(checkpoint)
    changed.apply_adapter(adapter, *strengths)
    expected = latents(changed)
    assert not torch.allclose(expected, plain, atol=1e-2)
    torch.testing.assert_close(latents(base.with_adapter(adapter, *strengths)), expected)
    assert torch.equal(latents(base), plain)


def test_one_adapter_over_another_is_both(base: ManagedModel, adapter: Adapter) -> None:
    half = base.with_adapter(adapter, 0.5, 0.5)
    whole = latents(base.with_adapter(adapter, 1.0, 1.0))
    torch.testing.assert_close(latents(half.with_adapter(adapter, 0.5, 0.5)), whole, rtol=1e-3, atol=1e-3)


def test_all_strengths_share_parts_that_are_read_once(
    base: ManagedModel, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    load = PartLoader.__call__

    def counted(loader: PartLoader, name: PartName) -> Any:
        read.append(name)
        return load(loader, name)

    monkeypatch.setattr(PartLoader, "__call__", counted)
    models = [base.with_adapter(adapter, strength, strength) for strength in (0.3, 0.6, 1.0)]
    drawn = [latents(model) for model in [*models, base]]
    assert sorted(read) == ["reasoner", "ssgm", "unet", "vae"]
    assert not any(torch.allclose(one, other) for one, other in combinations(drawn, 2))
    for model in models:
        assert (model.parts.reasoner(), model.parts.ssgm(), model.parts.unet(), model.parts.vae()) == (
            *(base.parts.reasoner(), base.parts.ssgm(), base.parts.unet(), base.parts.vae()),
        )


def test_another_strength_takes_no_more_memory(base: ManagedModel, adapter: Adapter) -> None:
    def tensors() -> int:
        gc.collect()
        held: dict[int, int] = {}
        for thing in gc.get_objects():
            if type(thing) in (torch.Tensor, torch.nn.Parameter):
                with suppress(RuntimeError):  # those that torch.vmap leaves behind have no storage
                    held[thing.data_ptr()] = thing.nbytes
        return sum(held.values())

    models = [base.with_adapter(adapter, strength, strength) for strength in (0.3, 0.6, 1.0)]
    latents(models[0])
    first = tensors()
    for model in models[1:]:
        latents(model)
    unet = sum(weight.nbytes for weight in base.parts.unet().parameters())
    assert tensors() - first < unet / 10  # of what else this process holds, a little may come and go


@pytest.mark.parametrize(
    ("dtype", "savings"), [(torch.bfloat16, {}), (torch.float32, {"unet_fp8": True, "mllm_bits": 8})], ids=str
)
def test_a_base_gives_the_same_bytes_before_and_after_any_adapters(
    checkpoint: Path, adapter: Adapter, dtype: torch.dtype, savings: dict[str, Any]
) -> None:
    base = ManagedModel.open(checkpoint, dtype=dtype, **savings)
    half = base.with_adapter(adapter, 0.5, 0.5)
    models = [base, half, half.with_adapter(adapter, 1.0, -1.0), base.with_adapter(adapter, 0.0, 2.0)]
    first = [latents(model) for model in models]
    assert not any(torch.equal(one, other) for one, other in combinations(first, 2))
    for index in (0, 2, 3, 0, 1):
        assert torch.equal(latents(models[index]), first[index]), index


def test_a_part_that_has_to_leave_its_device_keeps_no_weight_twice(
    base: ManagedModel, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = base.parts.unet().conv_out.weight.clone()
    model = base.with_adapter(adapter, 1.0, 1.0)
    changed = model.parts.unet().conv_out.weight.clone()
    assert not torch.equal(changed, plain)
    with monkeypatch.context() as patch:
        patch.setattr(ManagedPart, "_now_on", lambda part: torch.device("meta"))
        assert model.parts.vae() is base.parts.vae()
    assert torch.equal(base.parts.shared.parts["unet"].module.conv_out.weight, plain)
    assert torch.equal(model.parts.unet().conv_out.weight, changed)


def test_weights_are_the_bases_when_taking_an_adapter_up_fails(
    base: ManagedModel, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = latents(base)
    model = base.with_adapter(adapter, 1.0, 1.0)
    value = Change.value

    def out_of_memory(change: Change, like: torch.Tensor) -> torch.Tensor:
        if change.rows is not None:
            raise torch.OutOfMemoryError
        return value(change, like)

    monkeypatch.setattr(Change, "value", out_of_memory)
    with pytest.raises(torch.OutOfMemoryError):
        latents(model)
    assert torch.equal(latents(base), plain)
    monkeypatch.undo()
    assert not torch.allclose(latents(model), plain, atol=1e-2)


@pytest.mark.parametrize("savings", [{"unet_fp8": True}, {"mllm_bits": 8}], ids=str)
def test_a_change_far_smaller_than_a_step_of_few_bits_is_not_lost(
    checkpoint: Path, savings: dict[str, Any]
) -> None:
    """Rounded again together with the weights, most of it would be: that is less than half a step."""
    base = ManagedModel.open(checkpoint, **savings)
    name = "unet.down_blocks.1.resnets.0.conv1" if "unet_fp8" in savings else f"mllm.{LAYER}"
    part = base.parts.unet() if "unet_fp8" in savings else base.parts.reasoner().mllm
    layer = part.get_submodule(name.partition(".")[2])
    random = torch.Generator().manual_seed(0)
    width = layer.weight.shape[1]
    kernel = layer.weight.shape[2:]
    states = torch.randn(1, width, 8, 8, generator=random)
    states = states if kernel else states.movedim(1, -1)
    factors = {
        f"{name}.lora_A": torch.randn(4, width, *kernel, generator=random) * 1e-3,
        f"{name}.lora_B": torch.randn(layer.weight.shape[0], 4, *(1 for _ in kernel), generator=random)
        * 1e-3,
        f"{name}.bias": torch.full((layer.weight.shape[0],), 1e-4),
    }
    model = base.with_adapter(Adapter(factors, 2.0, 2.0, {}), 1.0, 1.0)
    change = (factors[f"{name}.lora_B"].flatten(1) @ factors[f"{name}.lora_A"].flatten(1)) * 2
    change = change.view(layer.weight.shape)
    if kernel:
        expected = torch.nn.functional.conv2d(states, change, factors[f"{name}.bias"], padding=1)
    else:
        expected = torch.nn.functional.linear(states, change, factors[f"{name}.bias"])
    plain = layer(states)
    _ = model.parts.unet() if kernel else model.parts.reasoner()
    torch.testing.assert_close(
        layer(states) - plain, expected, rtol=0, atol=float(expected.abs().max()) / 100
    )
    _ = base.parts.unet() if kernel else base.parts.reasoner()
    assert torch.equal(layer(states), plain)


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), 1e38])
def test_a_strength_that_cannot_be_used_is_refused(
    base: ManagedModel, adapter: Adapter, strength: float
) -> None:
    for strengths in ((strength, 1.0), (1.0, strength)):
        with pytest.raises(GoTError, match=r"must be a number|Choose smaller strengths"):
            base.with_adapter(adapter, *strengths)


def test_the_loader_says_before_any_weights_load_that_an_adapter_does_not_fit(
    base: ManagedModel, adapter: Adapter, tmp_path: Path
) -> None:
    save_adapter(tmp_path / "good.safetensors", adapter)
    (model,) = GoTLoraLoader().load(base, FROM_TRAINING, 1.0, 1.0, tmp_path / "good.safetensors")
    assert len(model.parts.adapters) == 1
    save_adapter(tmp_path / "bad.safetensors", Adapter({"unet.conv_out.weight": torch.ones(1)}, 1.0, 1.0, {}))
    with pytest.raises(GoTError, match="does not fit this checkpoint"):
        GoTLoraLoader().load(base, FROM_TRAINING, 1.0, 1.0, tmp_path / "bad.safetensors")
    with pytest.raises(GoTError, match="connect GoT Train"):
        GoTLoraLoader().load(base, FROM_TRAINING, 1.0, 1.0)
    assert base.parts.shared.parts == {}
