"""The published layout of GoT-6B, derived from any checkpoint: the input of an import."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from got_models.mllm.prompts import SPECIAL_TOKENS

State = dict[str, torch.Tensor]

RELEASED_LORA: dict[str, Any] = {
    "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "modules_to_save": ["input_layernorm", "post_attention_layernorm", "norm", "embed_tokens", "lm_head"],
}
"""What the sizes of the released files allow only: LoRA on the vision tower's MLPs too, which have the same
names as the decoder's, and norms, embeddings and head trained in full."""


def prefixed(prefix: str, module: torch.nn.Module) -> State:
    return {f"{prefix}{key}": value.detach().clone() for key, value in module.state_dict().items()}


def older(state: State) -> State:
    """The names as in older transformers."""
    return {
        key.replace("model.language_model.", "model.").replace("model.visual.", "visual."): value
        for key, value in state.items()
    }


def in_one_buffer(state: State) -> State:
    """The same tensors as views of one flat buffer for each number format, as they come from training:
    torch.save then writes the whole buffer, in which the tensors have their places."""
    views: State = {}
    for dtype in {tensor.dtype for tensor in state.values()}:
        own = {key: tensor for key, tensor in state.items() if tensor.dtype == dtype}
        flat = torch.cat([torch.full((7,), torch.nan, dtype=dtype), *(t.flatten() for t in own.values())])
        place = 7
        for key, tensor in own.items():
            views[key] = flat[place : place + tensor.numel()].view(tensor.shape)
            place += tensor.numel()
    return {key: views[key] for key in state}


def change_json(file: Path, target: Path, **values: Any) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values), encoding="utf-8")


def write_stock_models(checkpoint: Path, source: Path) -> None:
    """Writes Qwen's folder, whose tokenizer ends before GoT's tokens, and SDXL's next to GoT-6B."""
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
