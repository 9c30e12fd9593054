"""Recognizing folders of Qwen2.5-VL and Qwen3-VL as published, without loading a library."""

from __future__ import annotations

from pathlib import Path

from ..errors import GoTError
from ..files.json_objects import read_json

CLASSES = {
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
}
"""The classes of transformers, by the model_type in config.json."""


def is_stock(folder: Path) -> bool:
    """Whether a folder says that it holds such a model."""
    try:
        return read_json(folder / "config.json").get("model_type") in CLASSES
    except (GoTError, OSError):
        return False
