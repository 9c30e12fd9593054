"""The end-to-end checkpoint, torn into the published layout and imported again, says and draws the same."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration

from got_models.chain import ReasoningChain
from got_models.checkpoint import read_settings, write_settings
from got_models.importing.convert import VISION_SIZE, import_checkpoint
from got_models.importing.folders import find_folders
from got_models.model import GoTModel
from got_models.prompts import SPECIAL_TOKENS

PROMPT = "a red circle to the left of a blue square"
TEXT = "A red circle <|box_start|>(100,200),(400,500)<|box_end|> (red) on a white background."

State = dict[str, torch.Tensor]


def prefixed(prefix: str, module: torch.nn.Module) -> State:
    return {f"{prefix}{key}": value.detach().clone() for key, value in module.state_dict().items()}


def older(state: State) -> State:
    """The names that the older transformers gave."""
    return {
        key.replace("model.language_model.", "model.").replace("model.visual.", "visual."): value
        for key, value in state.items()
    }


def change_json(file: Path, target: Path, **values: Any) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values), encoding="utf-8")


def write_stock_models(checkpoint: Path, source: Path) -> None:
    """Beside GoT-6B: Qwen's folder, whose tokenizer has never heard of GoT, and SDXL's with four channels."""
    qwen, sdxl = source / "Qwen2.5-VL-3B-Instruct", source / "stable-diffusion-xl-base-1.0"
    shutil.copytree(checkpoint / "processor", qwen)
    tokens = json.loads((qwen / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    stock = [token for token in tokens if token["content"] not in SPECIAL_TOKENS]
    assert len(tokens) - len(stock) == 66
    change_json(qwen / "tokenizer.json", qwen / "tokenizer.json", added_tokens=stock)
    for name in ("config.json", "generation_config.json"):
        shutil.copy(checkpoint / "mllm" / name, qwen)
    change_json(checkpoint / "unet/config.json", sdxl / "unet/config.json", in_channels=4)
    change_json(checkpoint / "vae/config.json", sdxl / "vae/config.json")
    shutil.copytree(checkpoint / "scheduler", sdxl / "scheduler")


@pytest.fixture(scope="module")
def trees(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two published trees of the checkpoint with a LoRA on top, and as "itself" the checkpoint so changed."""
    folder = tmp_path_factory.mktemp("trees")
    torch.manual_seed(0)
    mllm = get_peft_model(
        Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint / "mllm", torch_dtype=torch.float32),
        LoraConfig(r=8, lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False),
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

    torch.save(older(prefixed("mllm.", mllm)) | others, pickles / "pytorch_model.bin")
    merged = mllm.merge_and_unload()
    save_file(prefixed("mllm.", merged) | others, safetensors / "model.safetensors")
    itself = Path(shutil.copytree(checkpoint, folder / "itself"))
    shutil.rmtree(itself / "mllm")
    merged.save_pretrained(itself / "mllm")
    write_settings(itself, dataclasses.replace(read_settings(itself), vision_size=VISION_SIZE))
    return trees | {"itself": itself}


def words_and_picture(folder: Path, task: str) -> tuple[str, bytes]:
    """The first words that the checkpoint writes, and a small picture of a fixed chain."""
    model = GoTModel.from_pretrained(folder)
    source = Image.linear_gradient("L").convert("RGB") if task == "edit" else None
    words = model.reasoner.write(task, PROMPT, source, max_new_tokens=8, temperature=0)
    chain = ReasoningChain.parse(TEXT, task, PROMPT)
    guidance = model.encode(chain, source, size=(64, 64))
    scales = dataclasses.replace(model.default_scales(task), semantic=3.0, spatial=2.0, reference=1.5)
    return words, model.sample(guidance, scales, seed=3, steps=2).tobytes()


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
