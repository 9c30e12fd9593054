"""A checkpoint folder is checked at the door: what is missing, broken or of the wrong width is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from got_models.diffusion.ssgm import SemanticSpatialGuidance
from got_models.errors import GoTError
from got_models.pipeline import GoTModel
from got_models.weights.checkpoint import (
    CheckpointSettings,
    Sizes,
    TaskSettings,
    check,
    read_settings,
    read_shapes,
    write_settings,
)
from got_models.weights.parts import ResidentParts

TASK = TaskSettings(semantic=7.5, spatial=4.0, reference=1.0, steps=50, width=128, height=96)
SETTINGS = CheckpointSettings(
    vision_size=56,
    max_new_tokens=32,
    sizes=Sizes(hidden=32, cross_attention=48, pooled=16),
    tasks={"generate": TASK, "edit": TASK},
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of real classes at the smallest widths, none of which can stand for another."""
    folder = tmp_path_factory.mktemp("whole")
    write_settings(folder, SETTINGS)
    text = {
        "vocab_size": 24,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_scaling": {"rope_type": "default", "type": "mrope", "mrope_section": [2, 3, 3]},
    }
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 1, "out_hidden_size": 32}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder / "mllm")
    UNet2DConditionModel(
        in_channels=12,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 32),
        layers_per_block=1,
        cross_attention_dim=48,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=16 + 6 * 8,
    ).save_pretrained(folder / "unet")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32,) * 4,
    ).save_pretrained(folder / "vae")
    DDPMScheduler().save_pretrained(folder / "scheduler")
    save_file(SemanticSpatialGuidance(32, 48, 16).state_dict(), folder / "projectors.safetensors")
    (folder / "processor").mkdir()
    for name in ("tokenizer_config.json", "preprocessor_config.json"):
        (folder / "processor" / name).write_text("{}")
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "checkpoint"))


def change_json(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def change_tensor(file: Path, key: str, tensor: torch.Tensor | None) -> None:
    tensors = load_file(file)
    del tensors[key]
    save_file(tensors if tensor is None else tensors | {key: tensor}, file)


def test_whole_checkpoint_passes_and_gives_its_settings(whole: Path) -> None:
    assert check(whole) == SETTINGS


def test_settings_survive_writing_and_reading(tmp_path: Path) -> None:
    write_settings(tmp_path, SETTINGS)
    assert read_settings(tmp_path) == SETTINGS
    assert [file.name for file in tmp_path.iterdir()] == ["got.json"]


def test_settings_from_before_there_were_rules_for_masks_mean_the_published_one(folder: Path) -> None:
    assert json.loads((folder / "got.json").read_text())["mask_rule"] == "published"
    change_json(folder / "got.json", lambda values: values.pop("mask_rule"))
    assert read_settings(folder).mask_rule == "published"
    change_json(folder / "got.json", lambda values: values.update(mask_rule="rounded"))
    assert check(folder).mask_rule == "rounded"


def test_opening_a_checkpoint_loads_no_weights(whole: Path) -> None:
    model = GoTModel.from_pretrained(whole)
    assert isinstance(model.parts, ResidentParts) and model.parts.loaded == {}
    unet = model.parts.unet()
    assert unet.config.cross_attention_dim == 48 and list(model.parts.loaded) == ["unet"]
    assert not unet.training and not any(weight.requires_grad for weight in unet.parameters())


def test_half_precision_weights_are_cast_when_they_load(folder: Path) -> None:
    for file in (folder / "unet/diffusion_pytorch_model.safetensors", folder / "projectors.safetensors"):
        save_file({key: value.half() for key, value in load_file(file).items()}, file)
    model = GoTModel.from_pretrained(folder)
    assert model.parts.unet().dtype == torch.float32
    assert model.parts.ssgm().output_projector.projector.weight.dtype == torch.float32
    assert GoTModel.from_pretrained(folder, dtype=torch.bfloat16).parts.unet().dtype == torch.bfloat16


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(GoTError, match=r"no checkpoint folder .*nowhere"):
        check(tmp_path / "nowhere")


def test_all_missing_files_are_listed_at_once(folder: Path) -> None:
    (folder / "projectors.safetensors").unlink()
    (folder / "vae/diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(
        GoTError, match=r"lacks projectors.safetensors, vae/diffusion_pytorch_model.safetensors"
    ):
        check(folder)


def test_missing_shard_is_named(folder: Path) -> None:
    (folder / "mllm/model.safetensors").rename(folder / "mllm/model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "mllm/model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(GoTError, match=r"lacks mllm/model-00002-of-00002.safetensors"):
        check(folder)


def test_a_folder_that_is_no_checkpoint_is_not_searched(tmp_path: Path) -> None:
    (tmp_path / "deep/below").mkdir(parents=True)
    (tmp_path / "deep/below/weights.bin").touch()
    with pytest.raises(GoTError, match=r"lacks got\.json") as refused:
        check(tmp_path)
    assert "Pickled" not in str(refused.value)


def test_of_many_missing_files_the_first_are_named(folder: Path) -> None:
    index = {"weight_map": {str(number): f"{number}.safetensors" for number in range(1000)}}
    (folder / "unet/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(GoTError, match=r"lacks unet.* and 980 more files") as refused:
        check(folder)
    assert len(str(refused.value)) < 2000


def test_pickled_weights_are_not_accepted(folder: Path) -> None:
    (folder / "unet/diffusion_pytorch_model.safetensors").rename(folder / "unet/diffusion_pytorch_model.bin")
    with pytest.raises(
        GoTError, match=r"Pickled weights \(unet/diffusion_pytorch_model.bin\) are not accepted"
    ):
        check(folder)


@pytest.mark.parametrize(
    "name", ["projectors.safetensors", "unet/diffusion_pytorch_model.safetensors", "mllm/model.safetensors"]
)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_truncated_weights_are_refused(folder: Path, name: str, share: float) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(GoTError, match=f"{name} is truncated"):
        check(folder)


@pytest.mark.parametrize(
    ("file", "key", "shape", "needed"),
    [
        ("projectors.safetensors", "output_projector.projector.weight", (48, 33), [48, 32]),
        ("projectors.safetensors", "output_projector.projector.bias", (47,), [48]),
        ("projectors.safetensors", "output_projector_add.projector.weight", (48, 32), [16, 32]),
        ("unet/diffusion_pytorch_model.safetensors", "conv_in.weight", (32, 4, 3, 3), [32, 12, 3, 3]),
        ("unet/diffusion_pytorch_model.safetensors", "add_embedding.linear_1.weight", (128, 63), [128, 64]),
        ("vae/diffusion_pytorch_model.safetensors", "decoder.conv_in.weight", (32, 8, 3, 3), [32, 4, 3, 3]),
    ],
)
def test_wrong_width_names_the_key_and_both_shapes(
    folder: Path, file: str, key: str, shape: tuple[int, ...], needed: list[int]
) -> None:
    change_tensor(folder / file, key, torch.zeros(shape))
    with pytest.raises(GoTError) as caught:
        check(folder)
    assert f"{key} has shape {list(shape)}, but {needed} is needed" in str(caught.value)


def test_mllm_of_another_width_names_its_embedding_and_both_shapes(folder: Path) -> None:
    file = folder / "mllm/model.safetensors"
    (key,) = [name for name in load_file(file) if name.endswith("embed_tokens.weight")]
    change_tensor(file, key, torch.zeros(24, 40))
    with pytest.raises(GoTError, match=r"embed_tokens.weight has shape \[24, 40\], but \[24, 32\] is needed"):
        check(folder)


def test_missing_tensor_is_named_with_its_shape(folder: Path) -> None:
    change_tensor(folder / "projectors.safetensors", "output_projector_add.projector.bias", None)
    with pytest.raises(
        GoTError, match=r"lacks the tensor output_projector_add.projector.bias of shape \[16\]"
    ):
        check(folder)


def test_tensor_missing_deep_inside_a_part_is_named_when_it_loads(folder: Path) -> None:
    file = folder / "unet/diffusion_pytorch_model.safetensors"
    change_tensor(file, "mid_block.resnets.0.conv1.weight", None)
    model = GoTModel.from_pretrained(folder)
    with pytest.raises(GoTError, match=r"mid_block.resnets.0.conv1.weight"):
        _ = model.parts.unet()


def test_tensor_of_another_shape_deep_inside_a_part_is_named_when_it_loads(folder: Path) -> None:
    file = folder / "unet/diffusion_pytorch_model.safetensors"
    change_tensor(file, "mid_block.resnets.0.conv1.weight", torch.zeros(32, 31, 3, 3))
    model = GoTModel.from_pretrained(folder)
    with pytest.raises(GoTError, match=r"mid_block.resnets.0.conv1.weight"):
        _ = model.parts.unet()


@pytest.mark.parametrize(
    ("file", "key", "value", "message"),
    [
        (
            "unet/config.json",
            "in_channels",
            4,
            "in_channels is 4, but the other parts of the checkpoint need 12",
        ),
        (
            "unet/config.json",
            "cross_attention_dim",
            32,
            "cross_attention_dim is 32, but the other parts of the checkpoint need 48",
        ),
        (
            "unet/config.json",
            "projection_class_embeddings_input_dim",
            65,
            "65, but the other parts of the checkpoint need 64",
        ),
        (
            "unet/config.json",
            "addition_embed_type",
            None,
            "None, but the other parts of the checkpoint need 'text_time'",
        ),
        (
            "vae/config.json",
            "latent_channels",
            16,
            "latent_channels is 16, but the other parts of the checkpoint need 4",
        ),
        (
            "vae/config.json",
            "block_out_channels",
            [32, 32],
            "downsampling factor is 2, but the other parts of the checkpoint need 8",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_their_configs(
    folder: Path, file: str, key: str, value: object, message: str
) -> None:
    change_json(folder / file, lambda values: values.update({key: value}))
    with pytest.raises(GoTError, match=message):
        check(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 2}, "format version 2; this program reads up to 1"),
        ({"format_version": "1"}, "'format_version' must be a whole number"),
        ({"vision_size": 0}, "'vision_size' must be a whole number"),
        ({"tasks": {}}, "'generate' and 'edit'"),
        ({"mask_rule": "nearest"}, "'mask_rule' must be 'published' or 'rounded', got 'nearest'"),
        ({"mask_rule": ["published"]}, "'mask_rule' must be"),
        ({"mask_rule": None}, "'mask_rule' must be"),
        (
            {"sizes": {"hidden": 32}},
            "'sizes' must hold exactly hidden, cross_attention, pooled, image_tokens",
        ),
        (
            {"sizes": {"hidden": "32", "cross_attention": 1, "pooled": 1, "image_tokens": 64}},
            "'hidden' must be",
        ),
    ],
)
def test_unusable_settings_are_named(folder: Path, change: dict[str, Any], message: str) -> None:
    change_json(folder / "got.json", lambda values: values.update(change))
    with pytest.raises(GoTError, match=message):
        read_settings(folder)


@pytest.mark.parametrize("content", ["", "{", "[1]", "\ufeff{}"])
def test_settings_that_are_no_json_object_are_refused(folder: Path, content: str) -> None:
    (folder / "got.json").write_text(content, encoding="utf-8")
    with pytest.raises(GoTError, match=r"got\.json"):
        check(folder)


def test_shapes_are_read_from_the_header(whole: Path) -> None:
    assert read_shapes(whole / "projectors.safetensors")["output_projector.projector.weight"] == (48, 32)
