"""Training with frozen weights in 8 bits: half the memory, nearly the same losses, the same promises."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from got_models.dataset.encoding import Encoder
from got_models.dataset.row_batches import RowBatches
from got_models.dataset.rows import read_dataset
from got_models.errors import GoTError
from got_models.pipeline import GoTModel
from got_models.training.config import LoraTraining
from got_models.training.frozen_weights import store_in_int8
from got_models.training.modules import LoraModules
from got_models.training.trainer import train_lora
from got_models.weights.adapter_files import load_adapter
from got_models.weights.int8 import quantize_to_int8

from .lora_runs import assert_same_tensors, logged, tensors


@dataclass(frozen=True)
class Step:
    """One batch, forwards and backwards; `kept`: bytes that wait for backward, beside the parameters."""

    modules: LoraModules
    losses: Tensor
    gradients: dict[str, Tensor]
    kept: int


def step(config: LoraTraining) -> Step:
    model = GoTModel.from_pretrained(config.checkpoint, dtype=getattr(torch, config.precision))
    encoder = Encoder(model, config.resolution_px, Path(config.out))
    rows = read_dataset(config.dataset).rows
    batch = RowBatches(rows, encoder, model, config.batch_rows, config.seed)[0]
    modules = LoraModules(model, config)
    parameters = {parameter.data_ptr() for parameter in modules.parameters()}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in parameters:
            kept[tensor.data_ptr()] = tensor.nelement() * tensor.element_size()
        return tensor

    with (
        torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"),
        torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor),
    ):
        losses = torch.stack([loss.float() for loss in modules(batch, seed=1).values()])
    losses.sum().backward()
    gradients = {
        name: parameter.grad for name, parameter in modules.named_parameters() if parameter.grad is not None
    }
    return Step(modules, losses.detach(), gradients, sum(kept.values()))


def decoder(modules: LoraModules) -> nn.Module:
    layers: nn.Module = modules.mllm.get_base_model().model.language_model
    return layers


def frozen_bytes(module: nn.Module) -> int:
    return sum(p.nelement() * p.element_size() for p in module.parameters() if not p.requires_grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_layer_computes_with_its_weight_rounded_far_closer_than_fp8(dtype: torch.dtype) -> None:
    for layer, values in ((nn.Linear(64, 50), (3, 64)), (nn.Conv2d(40, 30, 3), (1, 40, 5, 5))):
        layer = layer.to(dtype)
        weight = layer.weight.detach().clone()
        store_in_int8(layer)
        assert layer.weight.dtype == dtype
        assert {p.dtype for p in layer.parameters()} == {torch.int8, dtype}  # weight; steps, bias
        assert not any(p.requires_grad for p in layer.parameters())
        error = (layer.weight - weight).norm()
        assert 0 < error < 0.01 * weight.norm()
        assert error < 0.4 * (weight.to(torch.float8_e4m3fn).to(dtype) - weight).norm()
        layer(torch.randn(values, dtype=dtype))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_losses_and_gradients_are_nearly_those_of_unrounded_weights_in_half_the_memory(
    config: LoraTraining, checkpointing: bool
) -> None:
    config = replace(
        config,
        precision="bfloat16",
        gradient_checkpointing=checkpointing,
        mllm=replace(config.mllm, dropout=0.0),
    )
    full, small = step(config), step(replace(config, fp8_base=True))
    torch.testing.assert_close(small.losses, full.losses, rtol=0.05, atol=0.01)
    assert small.gradients.keys() == full.gradients.keys()
    first, second = (
        torch.cat([one.gradients[name].flatten() for name in full.gradients]) for one in (full, small)
    )
    assert torch.nn.functional.cosine_similarity(first, second, dim=0) > 0.95
    for part in (lambda modules: decoder(modules).layers, lambda modules: modules.unet):
        assert frozen_bytes(part(small.modules)) < 0.55 * frozen_bytes(part(full.modules))
    weights = frozen_bytes(full.modules.unet) + frozen_bytes(decoder(full.modules).layers)
    if checkpointing:  # only the weights of layers that belong to no block wait
        assert small.kept - full.kept < 0.25 * weights
    else:  # every layer's weight in full waits for backward
        assert small.kept - full.kept > 0.5 * weights


def test_a_step_leaves_the_kept_bytes_as_they_are(config: LoraTraining) -> None:
    model = GoTModel.from_pretrained(config.checkpoint)
    expected = [
        quantize_to_int8(layer.weight.detach())[0]
        for part in (model.parts.reasoner().mllm.model.language_model, model.parts.unet())
        for layer in part.modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d))
    ]
    modules = step(replace(config, fp8_base=True)).modules
    torch.optim.AdamW(modules.parameters(), lr=1.0).step()
    kept = [
        p for part in (decoder(modules), modules.unet) for p in part.parameters() if p.dtype == torch.int8
    ]
    assert len(kept) == len(expected) > 100
    assert all(map(torch.equal, kept, expected))


def test_a_stopped_run_ends_with_the_same_bits(config: LoraTraining) -> None:
    config = replace(config, fp8_base=True)
    whole = replace(config, out=config.out + "-straight")
    train_lora(whole)
    train_lora(config, stop_after_steps=3)
    train_lora(config, resume=True)
    assert_same_tensors(tensors(config), tensors(whole))
    assert logged(config) == logged(whole)
    adapter = load_adapter(Path(config.out) / "adapter.safetensors")
    GoTModel.from_pretrained(config.checkpoint).apply_adapter(adapter)  # fits weights that are not rounded


def test_a_run_that_began_with_fp8_is_refused_unless_it_is_finished(config: LoraTraining) -> None:
    config = replace(config, fp8_base=True)
    train_lora(config, stop_after_steps=1)
    file = Path(config.out) / "run.json"
    begun = json.loads(file.read_text())
    assert begun.pop("base") == "int8"
    file.write_text(json.dumps(begun))
    for changed in (False, True):
        with pytest.raises(GoTError, match="began with frozen weights in fp8"):
            train_lora(config, resume=True, changed_dataset=changed)
    (Path(config.out) / f"state-lora-{config.steps}").mkdir()  # as if it had been trained to its end
    assert train_lora(config, resume=True) == Path(config.out) / "adapter.safetensors"


def test_a_unet_that_is_trained_in_full_is_not_rounded(config: LoraTraining) -> None:
    config = replace(config, fp8_base=True, unet=replace(config.unet, train="full"))
    model = GoTModel.from_pretrained(config.checkpoint)
    modules = LoraModules(model, config)
    assert {parameter.dtype for parameter in modules.unet.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in modules.unet.parameters())
