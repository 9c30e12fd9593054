"""A model that has taken up an adapter: its own where it changes, shared where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from got_pack.got_models.adapter import Adapter, apply_adapter, save_adapter
from got_pack.got_models.chain import ReasoningChain
from got_pack.got_models.errors import GoTError
from got_pack.got_models.model import GoTModel
from got_pack.nodes._model import AdaptedModel, ManagedModel
from got_pack.nodes.training import FROM_TRAINING, GoTLoraLoader

CHAIN = ReasoningChain.parse("A red circle (250,250),(500,500).", "generate", "a red circle")
SIZE = (64, 64)


@pytest.fixture
def base(checkpoint: Path) -> ManagedModel:
    model = GoTModel.from_pretrained(checkpoint)
    return ManagedModel(checkpoint, model.settings, "cpu", torch.float32)


@pytest.fixture(scope="module")
def adapter(checkpoint: Path) -> Adapter:
    """Noise on one layer of each part and on the tokens."""
    model = GoTModel.from_pretrained(checkpoint)
    layer = "model.language_model.layers.0.self_attn.q_proj"
    out, width = model.reasoner.mllm.get_parameter(f"{layer}.weight").shape
    projector = "output_projector.projector.weight"
    random = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random) * 0.1

    return Adapter(
        {
            f"mllm.{layer}.lora_A": noise(4, width),
            f"mllm.{layer}.lora_B": noise(out, 4),
            "mllm.special_tokens": noise(66, width),
            f"projectors.{projector}": noise(*model.ssgm.get_parameter(projector).shape),
            "unet.conv_out.weight": noise(*model.unet.conv_out.weight.shape),
        },
        mllm_scale=2.0,
        unet_scale=1.0,
        information={},
    )


def latents(model: GoTModel) -> torch.Tensor:
    return model.sample_latents(model.encode(CHAIN, size=SIZE), seed=0, steps=2, scheduler="euler")


@pytest.mark.parametrize("strengths", [(1.0, 1.0), (0.5, 0.0), (0.0, -1.0)])
def test_it_draws_as_a_model_that_was_changed_in_place_and_its_base_as_before(
    base: ManagedModel, adapter: Adapter, checkpoint: Path, strengths: tuple[float, float]
) -> None:
    plain = latents(base)
    changed = GoTModel.from_pretrained(checkpoint)
    apply_adapter(changed, adapter, *strengths)
    expected = latents(changed)
    assert not torch.allclose(expected, plain, atol=1e-2)
    torch.testing.assert_close(latents(AdaptedModel(base, adapter, *strengths)), expected)
    assert torch.equal(latents(base), plain)


def test_one_adapter_over_another_is_both(base: ManagedModel, adapter: Adapter) -> None:
    half = AdaptedModel(base, adapter, 0.5, 0.5)
    whole = latents(AdaptedModel(base, adapter, 1.0, 1.0))
    torch.testing.assert_close(latents(AdaptedModel(half, adapter, 0.5, 0.5)), whole, rtol=1e-3, atol=1e-3)


def test_parts_that_do_not_change_are_in_memory_once(base: ManagedModel, adapter: Adapter) -> None:
    no_plans = AdaptedModel(base, adapter, 0.0, 1.0)
    assert no_plans.reasoner is base.reasoner
    assert no_plans.ssgm is base.ssgm
    assert no_plans.unet is not base.unet
    no_pictures = AdaptedModel(base, adapter, 1.0, 0.0)
    assert no_pictures.unet is base.unet
    assert no_pictures.reasoner is not base.reasoner
    assert no_pictures.vae is base.vae
    unet_only = Adapter({"unet.conv_out.weight": adapter.tensors["unet.conv_out.weight"]}, 1.0, 1.0, {})
    assert AdaptedModel(base, unet_only, 1.0, 1.0).reasoner is base.reasoner


def test_a_unet_in_fp8_is_changed_before_it_is_rounded(checkpoint: Path, adapter: Adapter) -> None:
    settings = GoTModel.from_pretrained(checkpoint).settings
    base = ManagedModel(checkpoint, settings, "cpu", torch.float32, unet_fp8=True)
    changed = GoTModel.from_pretrained(checkpoint)
    apply_adapter(changed, adapter)
    weight = AdaptedModel(base, adapter, 1.0, 1.0).unet.conv_out.weight
    assert torch.equal(weight.float(), changed.unet.conv_out.weight.to(weight.dtype).float())


def test_the_loader_says_before_any_weights_load_that_an_adapter_does_not_fit(
    base: ManagedModel, adapter: Adapter, tmp_path: Path
) -> None:
    save_adapter(tmp_path / "good.safetensors", adapter)
    (model,) = GoTLoraLoader().load(base, FROM_TRAINING, 1.0, 1.0, tmp_path / "good.safetensors")
    assert isinstance(model, AdaptedModel)
    save_adapter(tmp_path / "bad.safetensors", Adapter({"unet.conv_out.weight": torch.ones(1)}, 1.0, 1.0, {}))
    with pytest.raises(GoTError, match="does not fit this checkpoint"):
        GoTLoraLoader().load(base, FROM_TRAINING, 1.0, 1.0, tmp_path / "bad.safetensors")
    with pytest.raises(GoTError, match="connect GoT Train"):
        GoTLoraLoader().load(base, FROM_TRAINING, 1.0, 1.0)
    assert {"unet", "reasoner", "ssgm"} & {*vars(base), *vars(model)} == set()
