"""The end-to-end checkpoint, torn into the published layout and imported again, says and draws the same."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from got_pack.got_models.diffusion.settings import SamplingSettings
from got_pack.got_models.errors import GoTError
from got_pack.got_models.mllm.settings import GenerationSettings
from got_pack.nodes._comfy.folders import BUNDLED_NAME, checkpoint_names
from got_pack.nodes.importing import GoTImportCheckpoint
from got_pack.nodes.loaders import GoTModelLoader
from got_pack.nodes.native import GoTNativeModelLoader
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration

from got_models.chain.chain import ReasoningChain
from got_models.importing.convert import import_checkpoint
from got_models.importing.folders import find_folders
from got_models.importing.plan import VISION_SIZE
from got_models.pipeline import GoTModel
from got_models.weights.checkpoint import read_settings, write_settings

from ..published import RELEASED_LORA, in_one_buffer, older, prefixed, write_stock_models

PROMPT = "a red circle to the left of a blue square"
TEXT = "A red circle <|box_start|>(100,200),(400,500)<|box_end|> (red) on a white background."


@pytest.fixture(scope="module")
def trees(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two published trees of the checkpoint with a LoRA on top, and as "itself" the checkpoint so changed."""
    folder = tmp_path_factory.mktemp("trees")
    torch.manual_seed(0)
    mllm = get_peft_model(
        Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint / "mllm", torch_dtype=torch.float32),
        LoraConfig(r=8, lora_alpha=8, init_lora_weights=False, **RELEASED_LORA),
    )
    others = prefixed("unet.", UNet2DConditionModel.from_pretrained(checkpoint / "unet"))
    others |= prefixed("vae.", AutoencoderKL.from_pretrained(checkpoint / "vae"))
    others |= {key: value.float() for key, value in load_file(checkpoint / "projectors.safetensors").items()}
    trees = {
        name: folder / name for name in ("PEFT, older names, pickles", "merged, newer names, safetensors")
    }
    for source in trees.values():
        (source / "GoT-6B").mkdir(parents=True)
        write_stock_models(checkpoint, source)
    pickles, safetensors = (source / "GoT-6B" for source in trees.values())

    torch.save(in_one_buffer(older(prefixed("mllm.", mllm)) | others), pickles / "pytorch_model.bin")
    merged = mllm.merge_and_unload()
    save_file(prefixed("mllm.", merged) | others, safetensors / "model.safetensors")
    itself = Path(shutil.copytree(checkpoint, folder / "itself"))
    shutil.rmtree(itself / "mllm")
    merged.save_pretrained(itself / "mllm")
    settings = dataclasses.replace(read_settings(itself), vision_size=VISION_SIZE, mask_rule="published")
    write_settings(itself, settings)
    return trees | {"itself": itself}


def words_and_picture(folder: Path, task: str) -> tuple[str, bytes]:
    """The first words that the checkpoint writes, and a small picture of a fixed chain."""
    model = GoTModel.from_pretrained(folder)
    source = Image.linear_gradient("L").convert("RGB") if task == "edit" else None
    words = model.parts.reasoner().write(
        task, PROMPT, source, settings=GenerationSettings(max_new_tokens=8, temperature=0)
    )
    chain = ReasoningChain.parse(TEXT, task, PROMPT)
    guidance = model.encode(chain, source, size=(64, 64))
    scales = dataclasses.replace(model.default_scales(task), semantic=3.0, spatial=2.0, reference=1.5)
    settings = SamplingSettings(scales=scales, seed=3, steps=2, scheduler="euler")
    return words, model.sample(guidance, settings).tobytes()


@pytest.mark.parametrize("task", ["generate", "edit"])
@pytest.mark.parametrize("naming", ["PEFT, older names, pickles", "merged, newer names, safetensors"])
def test_an_imported_checkpoint_writes_and_draws_what_the_original_does(
    naming: str, task: str, trees: dict[str, Path], tmp_path: Path
) -> None:
    import_checkpoint(find_folders(trees[naming]), tmp_path / "out", "float32")
    assert words_and_picture(tmp_path / "out", task) == words_and_picture(trees["itself"], task)


def test_the_lora_shows_in_the_picture(checkpoint: Path, trees: dict[str, Path]) -> None:
    """Otherwise a LoRA that is lost on the way would go unnoticed above."""
    assert words_and_picture(checkpoint, "generate") != words_and_picture(trees["itself"], "generate")


# The node


@pytest.fixture
def models(trees: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder models/got with the published tree in models/got/downloads."""
    monkeypatch.chdir(tmp_path)
    models = tmp_path / "models/got"
    models.mkdir(parents=True)
    (models / "downloads").symlink_to(trees["merged, newer names, safetensors"])
    return models


def run_node(**inputs: object) -> str:
    defaults = {"source": "downloads", "name": "mine", "dtype": "float32", "download": False}
    (name,) = GoTImportCheckpoint().import_checkpoint(**defaults | inputs)
    return name


def test_the_node_makes_a_checkpoint_that_the_loaders_list_and_open(models: Path) -> None:
    assert checkpoint_names() == [BUNDLED_NAME, "downloads (needs import)"]
    assert run_node() == "mine"
    assert checkpoint_names() == [BUNDLED_NAME, "downloads (needs import)", "mine"]
    (model,) = GoTModelLoader().load("mine", "float32")
    assert model.parts.unet().config.in_channels == 12


def test_run_again_the_node_is_done_at_once_even_without_the_source(models: Path) -> None:
    unknown = GoTImportCheckpoint.IS_CHANGED(name="mine", dtype="float32")
    run_node()
    assert GoTImportCheckpoint.IS_CHANGED(name="mine", dtype="float32") == unknown, "its own work"
    before = {file: file.stat().st_mtime_ns for file in (models / "mine").rglob("*")}
    (models / "downloads").unlink()
    assert run_node() == "mine"
    assert {file: file.stat().st_mtime_ns for file in (models / "mine").rglob("*")} == before


def test_another_dtype_under_the_same_name_is_refused(models: Path) -> None:
    run_node()
    with pytest.raises(GoTError, match="exists already"):
        run_node(dtype="bfloat16")


def test_folders_may_lie_anywhere(models: Path, trees: dict[str, Path], tmp_path: Path) -> None:
    source = trees["PEFT, older names, pickles"]
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/GoT-6B").symlink_to(source / "GoT-6B")
    with pytest.raises(GoTError, match="Missing: the folder"):
        run_node(source=str(tmp_path / "alone"))
    others = {
        "qwen": str(source / "Qwen2.5-VL-3B-Instruct"),
        "sdxl": str(source / "stable-diffusion-xl-base-1.0"),
    }
    assert run_node(source=str(tmp_path / "alone"), **others) == "mine"


@pytest.mark.parametrize("name", ["downloads", "downloads (needs import)"])
@pytest.mark.parametrize("loader", [GoTModelLoader, GoTNativeModelLoader])
def test_a_loader_names_the_node_for_a_folder_that_needs_importing(
    loader: type, name: str, models: Path
) -> None:
    message = loader.VALIDATE_INPUTS(name)
    assert "Run GoT Import Checkpoint with 'downloads' as its source" in message


def test_a_loader_says_of_an_import_that_has_not_ended_how_to_go_on(models: Path) -> None:
    (models / "mine.part").mkdir()
    assert "mine.part (needs import)" in checkpoint_names()
    message = GoTModelLoader.VALIDATE_INPUTS("mine.part (needs import)")
    assert "not ended. Run GoT Import Checkpoint again with the same inputs" in str(message)


def test_the_published_folders_directly_in_the_models_folder_are_a_source_too(
    models: Path, trees: dict[str, Path]
) -> None:
    (models / "downloads").unlink()
    for folder in trees["merged, newer names, safetensors"].iterdir():
        (models / folder.name).symlink_to(folder)
    assert "GoT-6B (needs import)" in checkpoint_names()
    assert run_node(source="GoT-6B") == "mine"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../other", "/tmp/other", "a/b", "a\\b", "mine.part", "mine. "]
)
def test_what_is_no_name_for_a_folder_is_refused(name: str, models: Path) -> None:
    with pytest.raises(GoTError, match="cannot be the name of a folder"):
        run_node(name=name)


def test_downloads_go_nowhere_but_into_the_models_folder(models: Path, tmp_path: Path) -> None:
    for source in (str(tmp_path / "elsewhere"), "../elsewhere"):
        with pytest.raises(GoTError, match="cannot be the name of a folder"):
            run_node(source=source, download=True)


def test_an_empty_or_unknown_source_is_refused(models: Path) -> None:
    with pytest.raises(GoTError, match="source is empty"):
        run_node(source=" ")
    with pytest.raises(GoTError, match=r"Missing: the folder .*unknown.GoT-6B"):
        run_node(source="unknown")
