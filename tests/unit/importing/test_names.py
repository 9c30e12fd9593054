"""Every naming of the published tensors gives the same checkpoint, and LoRA is merged as PEFT merges it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from got_models.importing.convert import import_checkpoint
from got_models.importing.folders import find_folders
from got_models.importing.names import gather
from got_models.pipeline import GoTModel

from ...published import in_one_buffer, older
from .published_tree import (
    QUERY,
    Refused,
    assert_same,
    change_state,
    expected_parts,
    trained,
    write_tree,
    written_parts,
)


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
@pytest.mark.parametrize("transformers", ["older", "newer"])
@pytest.mark.parametrize("lora", ["PEFT", "merged"])
def test_every_naming_gives_the_tensors_that_peft_merges_bit_for_bit(
    lora: str, transformers: str, suffix: str, tmp_path: Path
) -> None:
    state = trained()[0 if lora == "PEFT" else 1]
    shards = 3 if lora == "PEFT" else 1
    write_tree(tmp_path / "pretrained", older(state) if transformers == "older" else state, suffix, shards)
    import_checkpoint(find_folders(tmp_path / "pretrained"), tmp_path / "out", "float32")
    assert_same(written_parts(tmp_path / "out"), expected_parts(trained()[1]))


@pytest.mark.parametrize("transformers", ["older", "newer"])
def test_the_layout_of_the_released_weights_gives_what_peft_merges(
    transformers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LoRA in the vision tower, norms and embeddings trained, half precision, views of a flat buffer."""
    with_lora, merged = trained(released=True)
    state = older(with_lora) if transformers == "older" else with_lora
    names = " ".join(state)
    for fragment in (
        *("visual.blocks.0.mlp.gate_proj.lora_A", "visual.blocks.0.mlp.down_proj.base_layer.weight"),
        *("input_layernorm.modules_to_save.default.weight", "norm.original_module.weight"),
        *("embed_tokens.modules_to_save.default.weight", "lm_head.modules_to_save.default.weight"),
    ):
        assert fragment in names
    write_tree(tmp_path / "pretrained", in_one_buffer(state), shards=2)
    size = sum(file.stat().st_size for file in (tmp_path / "pretrained/GoT-6B").glob("*.bin"))
    assert size > 1.5 * sum(tensor.nbytes for tensor in state.values())  # each file holds the whole buffer
    import_checkpoint(find_folders(tmp_path / "pretrained"), tmp_path / "out", "float32")
    expected = expected_parts(merged)
    assert not torch.equal(expected["mllm"]["lm_head.weight"], expected["mllm"]["model.embed_tokens.weight"])
    assert_same(written_parts(tmp_path / "out"), expected_parts(merged))
    model = GoTModel.from_pretrained(tmp_path / "out")
    assert torch.equal(
        model.parts.reasoner().mllm.get_parameter("model.visual.blocks.0.mlp.up_proj.weight"),
        expected["mllm"]["visual.blocks.0.mlp.up_proj.weight"],
    )


def test_the_synthetic_tree_has_every_peft_name_of_the_released_weights() -> None:
    """Otherwise the test above would not try them."""
    names = " ".join(older(trained()[0]))
    for fragment in (
        "mllm.base_model.model.model.layers.",
        "mllm.base_model.model.visual.",
        "q_proj.base_layer.weight",
        "q_proj.lora_A.default.weight",
        "lm_head.modules_to_save.default.weight",
        "lm_head.original_module.weight",
    ):
        assert fragment in names


def test_lora_is_scaled_by_alpha_over_rank(tmp_path: Path) -> None:
    with_lora, merged = trained(alpha=12)
    write_tree(tmp_path / "pretrained", with_lora)
    import_checkpoint(find_folders(tmp_path / "pretrained"), tmp_path / "out", "float32", lora_alpha=12)
    assert_same(written_parts(tmp_path / "out"), expected_parts(merged))


def test_an_output_layer_that_training_has_parted_from_the_embedding_is_kept(tmp_path: Path) -> None:
    with_lora, merged = trained(head_trained=True)
    write_tree(tmp_path / "pretrained", with_lora)
    import_checkpoint(find_folders(tmp_path / "pretrained"), tmp_path / "out", "float32")
    mllm = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        tmp_path / "out/mllm", torch_dtype=torch.float32
    )
    assert torch.equal(mllm.lm_head.weight, merged["mllm.lm_head.weight"])
    assert not torch.equal(mllm.lm_head.weight, mllm.get_input_embeddings().weight)


def test_names_that_claim_the_same_place_or_no_part_fit_nowhere() -> None:
    first, second = "mllm.model.norm.weight", "mllm.model.language_model.norm.weight"
    recipes, unexpected = gather([first, second, "optimizer.step"])
    assert recipes["mllm"] == {"model.norm.weight": {"base": first}}
    assert unexpected == [second, "optimizer.step"]


def test_a_lora_without_its_base_is_named(source: Path, refused: Refused) -> None:
    change_state(source, lambda state: state.pop(f"{QUERY}.base_layer.weight"))
    message = refused(source)
    assert "Missing (1): mllm.model.layers.0.self_attn.q_proj.weight [32, 32], the base of a LoRA." in message


@pytest.mark.parametrize(("gone", "lacking"), [("lora_A", "lora_A"), ("lora_B", "lora_B")])
def test_half_a_lora_is_named(gone: str, lacking: str, source: Path, refused: Refused) -> None:
    change_state(source, lambda state: state.pop(f"{QUERY}.{gone}.default.weight"))
    assert f"mllm.model.layers.0.self_attn.q_proj.weight's {lacking}" in refused(source)
