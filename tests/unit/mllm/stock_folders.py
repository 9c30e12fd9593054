"""Folders of Qwen2.5-VL and Qwen3-VL as published, at a tiny width with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from got_models.constants import BUNDLED_CHECKPOINT
from tiny_model.pretraining.initialize import build_mllm, write_image_processor

PROCESSORS: dict[str, dict[str, Any]] = {
    "qwen2_5_vl": {"min_pixels": 3136, "max_pixels": 12845056},
    "qwen3_vl": {
        "patch_size": 16,
        "min_pixels": None,
        "max_pixels": None,
        "size": {"shortest_edge": 65536, "longest_edge": 16777216},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
}
"""What the published folders say about pictures."""


def write_folder(folder: Path, model_type: str) -> Path:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED_CHECKPOINT / "processor")
    mllm: Any = build_mllm(tokenizer) if model_type == "qwen2_5_vl" else _qwen3(tokenizer.get_vocab())
    mllm.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_image_processor(folder)
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **PROCESSORS[model_type]}))
    return folder


def _qwen3(vocabulary: dict[str, int]) -> Qwen3VLForConditionalGeneration:
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(vocabulary),
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "rope_scaling": {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
        },
        image_token_id=vocabulary["<|image_pad|>"],
        video_token_id=vocabulary["<|video_pad|>"],
        vision_start_token_id=vocabulary["<|vision_start|>"],
        vision_end_token_id=vocabulary["<|vision_end|>"],
    )
    mllm = Qwen3VLForConditionalGeneration(config)
    mllm.generation_config.eos_token_id = [vocabulary["<|im_end|>"], vocabulary["<|endoftext|>"]]
    return mllm
