"""Tensors and configs that do not belong together are all listed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from .published_tree import QUERY, WIDER_VISION, Refused, State, change_json, change_state


def test_missing_unexpected_and_misshaped_tensors_are_all_listed(source: Path, refused: Refused) -> None:
    def change(state: State) -> None:
        del state["vae.quant_conv.bias"], state["output_projector.projector.bias"]
        state["unet.extra.weight"] = torch.zeros(1)
        state["discriminator.weight"] = torch.zeros(1)
        state["unet.conv_in.weight"] = torch.zeros(32, 4, 3, 3)
        state[f"{QUERY}.lora_B.default.weight"] = torch.zeros(32, 5)

    change_state(source, change)
    message = refused(source)
    assert "Missing (2): output_projector.projector.bias [48], vae.quant_conv.bias [8]." in message
    assert "Unexpected (2): discriminator.weight, unet.extra.weight." in message
    assert "Of another shape (2): " in message
    assert "unet.conv_in.weight (expected [32, 12, 3, 3], received [32, 4, 3, 3])" in message
    assert f"{QUERY}.lora_B.default.weight (expected [32, 4], received [32, 5])" in message


@pytest.mark.parametrize(
    "shapes", [((0, 32), (32, 0)), ((), (32,)), ((4, 31), (32, 4)), ((4, 32), (31, 4)), ((4,), (32, 4))]
)
def test_a_lora_that_does_not_fit_its_base_is_refused(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], source: Path, refused: Refused
) -> None:
    def change(state: State) -> None:
        for factor, shape in zip("AB", shapes, strict=True):
            state[f"{QUERY}.lora_{factor}.default.weight"] = torch.zeros(shape)

    change_state(source, change)
    assert "Of another shape" in refused(source)


def test_a_long_list_of_faults_is_cut_with_their_number(source: Path, refused: Refused) -> None:
    change_state(source, lambda state: state.update({f"more.{n}": torch.zeros(1) for n in range(30)}))
    message = refused(source)
    assert "Unexpected (30)" in message and "and 10 more." in message


@pytest.mark.parametrize(
    ("file", "change", "named"),
    [
        (
            "Qwen2.5-VL-3B-Instruct/config.json",
            {"hidden_size": 64, "num_attention_heads": 4, "vision_config": WIDER_VISION},
            "received [336, 32]",
        ),
        ("Qwen2.5-VL-3B-Instruct/config.json", {"num_hidden_layers": 3}, "mllm.model.layers.2."),
        ("stable-diffusion-xl-base-1.0/unet/config.json", {"cross_attention_dim": 64}, "received [48"),
        ("stable-diffusion-xl-base-1.0/vae/config.json", {"block_out_channels": [32] * 3 + [64]}, "vae."),
    ],
)
def test_a_qwen_or_sdxl_of_another_size_is_refused_with_both_shapes_and_folders(
    file: str, change: dict[str, object], named: str, source: Path, refused: Refused
) -> None:
    change_json(source / file, **change)
    message = refused(source)
    assert named in message
    assert str(source / "Qwen2.5-VL-3B-Instruct") in message
    assert str(source / "stable-diffusion-xl-base-1.0") in message


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("Qwen2.5-VL-3B-Instruct/config.json", {"num_attention_heads": "many"}),
        ("Qwen2.5-VL-3B-Instruct/config.json", {"text_config": 3}),
        ("Qwen2.5-VL-3B-Instruct/config.json", {"num_hidden_layers": 10**7}),
        ("Qwen2.5-VL-3B-Instruct/generation_config.json", {"eos_token_id": "end"}),
        ("Qwen2.5-VL-3B-Instruct/tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer"}),
        ("Qwen2.5-VL-3B-Instruct/preprocessor_config.json", {"patch_size": 0}),
        ("stable-diffusion-xl-base-1.0/scheduler/scheduler_config.json", {"num_train_timesteps": 10**12}),
        ("stable-diffusion-xl-base-1.0/unet/config.json", {"down_block_types": ["Unknown"]}),
        ("stable-diffusion-xl-base-1.0/unet/config.json", {"addition_time_embed_dim": None}),
        ("stable-diffusion-xl-base-1.0/vae/config.json", {"block_out_channels": "wide"}),
        ("stable-diffusion-xl-base-1.0/scheduler/scheduler_config.json", {"beta_schedule": "unknown"}),
    ],
)
def test_a_config_that_describes_no_model_is_named(
    file: str, change: dict[str, object], source: Path, refused: Refused
) -> None:
    change_json(source / file, **change)
    assert str(source / file) in refused(source)


def test_an_embedding_with_too_few_rows_for_the_tokens_is_refused(source: Path, refused: Refused) -> None:
    key = "mllm.base_model.model.model.embed_tokens.weight"
    change_state(source, lambda state: state.update({key: torch.zeros(329, 32)}))
    message = refused(source)
    assert "330 tokens" in message and "[329, 32]" in message
