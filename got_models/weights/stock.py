"""Loading Qwen2.5-VL and Qwen3-VL from folders as they are published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import GoTError
from ..files.json_objects import read_json
from .configs import without_program_choices
from .loading import load_image_processor, load_part, loading, mllm_config
from .stock_folders import CLASSES

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from ..mllm.stock import StockModel

NEEDS_QWEN3 = "4.57"
"""The first transformers with Qwen3-VL."""


def load_stock(folder: Path, dtype: torch.dtype) -> StockModel:
    """The model in a folder, on the CPU.

    Raises:
        GoTError: another model, one whose weights are quantized, a file that is missing or damaged, or a
            transformers that is too old for Qwen3-VL.
    """
    import transformers

    from ..mllm.stock import StockModel

    config = read_json(folder / "config.json")
    model_type = config.get("model_type")
    if model_type not in CLASSES:
        raise GoTError(f"{folder} holds no Qwen2.5-VL or Qwen3-VL: its model_type is {model_type!r}.")
    if "quantization_config" in config:
        raise GoTError(
            f"{folder} holds quantized weights, which cannot be read here. Get the folder without "
            "-AWQ, -GPTQ, -FP8 or -bnb in its name."
        )
    if not list(folder.glob("*.safetensors")):
        raise GoTError(f"{folder} holds no weights (*.safetensors). Download the whole folder.")
    if not hasattr(transformers, CLASSES[model_type]):
        raise GoTError(
            f"Qwen3-VL needs transformers {NEEDS_QWEN3} or newer, and here is {transformers.__version__}: "
            "pip install -U transformers. Or choose a folder of Qwen2.5-VL."
        )
    mllm = load_part(getattr(transformers, CLASSES[model_type]), folder, dtype, _config(folder, config))
    return StockModel(
        mllm, _tokenizer(folder), load_image_processor(folder), counts_pixels=model_type == "qwen2_5_vl"
    )


def _config(folder: Path, config: dict[str, Any]) -> Any:
    if config["model_type"] == "qwen2_5_vl":
        return mllm_config(folder)
    from transformers import Qwen3VLConfig

    with loading(folder / "config.json"):
        return Qwen3VLConfig.from_dict(without_program_choices(config))


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    from ..mllm.stock import NEEDED

    with loading(folder):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    missing = [token for token in NEEDED if token not in tokenizer.get_vocab()]
    if missing:
        raise GoTError(f"{folder}: the tokenizer lacks {', '.join(missing)}. Download the folder again.")
    return tokenizer
