"""Training with frozen weights in fp8: half the memory, nearly the same losses, the same promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from got_models.adapter import apply_adapter, load_adapter
from got_models.dataset.encoding import Encoder
from got_models.dataset.rows import read_dataset
from got_models.model import GoTModel
from got_models.training.fp8_base import keep_in_fp8
from got_models.training.lora import LoraModules
from got_models.training.lora_config import LoraTraining
from got_models.training.lora_trainer import train_lora
from got_models.training.own_pictures import RowBatches

from .lora_runs import assert_same_tensors, logged, tensors


def losses_and_gradients(config: LoraTraining) -> tuple[Tensor, dict[str, Tensor], LoraModules]:
    model = GoTModel.from_pretrained(config.checkpoint, dtype=getattr(torch, config.precision))
    encoder = Encoder(model, config.resolution_px, Path(config.out))
    rows = read_dataset(config.dataset).rows
    batch = RowBatches(rows, encoder, model, config.batch_rows, config.seed)[0]
    modules = LoraModules(model, config).eval()  # without LoRA's dropout
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        losses = torch.stack([loss.float() for loss in modules(batch, seed=1).values()])
    losses.sum().backward()
    gradients = {
        name.replace("parametrizations.weight.original0", "weight"): parameter.grad
        for name, parameter in modules.named_parameters()
        if parameter.grad is not None
    }
    return losses.detach(), gradients, modules


def frozen_bytes(module: nn.Module) -> int:
    return sum(p.nelement() * p.element_size() for p in module.parameters() if not p.requires_grad)


def test_a_layer_computes_with_its_weight_rounded_to_fp8() -> None:
    for layer, values in ((nn.Linear(6, 5), (3, 6)), (nn.Conv2d(4, 3, 3), (1, 4, 5, 5))):
        layer = layer.bfloat16()
        rounded = layer.weight.detach().to(torch.float8_e4m3fn).to(torch.bfloat16)
        assert not torch.equal(rounded, layer.weight)
        keep_in_fp8(layer)
        assert torch.equal(layer.weight, rounded)
        assert {p.dtype for p in layer.parameters()} == {torch.uint8, torch.bfloat16}  # weight, bias
        layer(torch.randn(values, dtype=torch.bfloat16))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_losses_and_gradients_are_nearly_those_of_unrounded_weights_in_half_the_memory(
    config: LoraTraining, checkpointing: bool
) -> None:
    config = replace(config, precision="bfloat16", gradient_checkpointing=checkpointing)
    losses, gradients, modules = losses_and_gradients(config)
    small_losses, small_gradients, small = losses_and_gradients(replace(config, fp8_base=True))
    torch.testing.assert_close(small_losses, losses, rtol=0.1, atol=0.02)
    assert small_gradients.keys() == gradients.keys()
    first, second = (
        torch.cat([all_[name].flatten() for name in gradients]) for all_ in (gradients, small_gradients)
    )
    assert torch.nn.functional.cosine_similarity(first, second, dim=0) > 0.9
    decoder, unet = (modules.mllm.base_model.model.model.language_model.layers, modules.unet)
    small_decoder, small_unet = (small.mllm.base_model.model.model.language_model.layers, small.unet)
    assert frozen_bytes(small_decoder) < 0.55 * frozen_bytes(decoder)
    assert frozen_bytes(small_unet) < 0.55 * frozen_bytes(unet)


def test_frozen_weights_stay_and_a_stopped_run_ends_with_the_same_bits(config: LoraTraining) -> None:
    config = replace(config, fp8_base=True)
    whole = replace(config, out=config.out + "-straight")
    train_lora(whole)
    train_lora(config, stop_after_steps=3)
    train_lora(config, resume=True)
    assert_same_tensors(tensors(config), tensors(whole))
    assert logged(config) == logged(whole)
    adapter = load_adapter(Path(config.out) / "adapter.safetensors")
    apply_adapter(GoTModel.from_pretrained(config.checkpoint), adapter)  # fits weights that are not rounded


def test_a_unet_that_is_trained_in_full_is_not_rounded(config: LoraTraining) -> None:
    config = replace(config, fp8_base=True, unet=replace(config.unet, train="full"))
    model = GoTModel.from_pretrained(config.checkpoint)
    modules = LoraModules(model, config)
    assert {parameter.dtype for parameter in modules.unet.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in modules.unet.parameters())
