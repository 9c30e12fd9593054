"""Names in a checkpoint's safetensors files: those of the MLLM's tensors, and of dtypes."""

from __future__ import annotations

import torch

DTYPE_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}

_NEWER_TRANSFORMERS = (("model.language_model.", "model."), ("model.visual.", "visual."))


def plain_mllm_name(name: str) -> str:
    """A tensor name of Qwen2.5-VL in any version of transformers -> its name in a checkpoint."""
    for newer, plain in _NEWER_TRANSFORMERS:
        if name.startswith(newer):
            return plain + name.removeprefix(newer)
    return name
