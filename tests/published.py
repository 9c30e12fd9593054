"""The published layout of GoT-6B, made of any checkpoint: what an import starts from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from got_models.prompts import SPECIAL_TOKENS

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
    """Beside GoT-6B: Qwen's folder, whose tokenizer ends before GoT's tokens, and SDXL's."""
    qwen, sdxl = source / "Qwen2.5-VL-3B-Instruct", source / "stable-diffusion-xl-base-1.0"
    shutil.copytree(checkpoint / "processor", qwen)
    tokens = json.loads((qwen / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    ours = [token["id"] for token in tokens if token["content"] in SPECIAL_TOKENS]
    assert len(ours) == 66
    stock = [token for token in tokens if token["id"] < min(ours)]
    change_json(qwen / "tokenizer.json", qwen / "tokenizer.json", added_tokens=stock)
    for name in ("config.json", "generation_config.json"):
        shutil.copy(checkpoint / "mllm" / name, qwen)
    change_json(checkpoint / "unet/config.json", sdxl / "unet/config.json", in_channels=4)
    change_json(checkpoint / "vae/config.json", sdxl / "vae/config.json")
    shutil.copytree(checkpoint / "scheduler", sdxl / "scheduler")
