"""Loading the libraries' classes from a checkpoint's files: offline, and with errors that name the file.

Nothing here accesses the network, runs code from a file, or lets a file choose the attention implementation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..chain.notation import SPECIAL_TOKEN
from ..errors import GoTError
from ..files.json_objects import read_json
from ..mllm.prompts import IMAGE_PAD, NEEDED, SPECIAL_TOKENS, VISION_START, conversation
from .configs import PROCESSOR, known_mllm, without_program_choices

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Qwen2_5_VLConfig

    from ..diffusion.ssgm import SemanticSpatialGuidance
    from .checkpoint import Sizes

ATTENTION = "sdpa"
MAX_NAMED = 5


@contextmanager
def loading(what: Path) -> Iterator[None]:
    """Turn a library's exception about a file into a GoTError, unless it is out of memory."""
    try:
        yield
    except (GoTError, MemoryError, torch.cuda.OutOfMemoryError):
        raise
    except BaseException as error:  # a file can be invalid in as many ways as it has entries
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise GoTError(f"{what} cannot be loaded: {reason}") from error


def is_panic(error: BaseException) -> bool:
    """Whether a library written in Rust has panicked, as happens with damaged files."""
    return type(error).__name__ == "PanicException"  # not an Exception, and no module exports it


def part_config(folder: Path) -> dict[str, Any]:
    """The config.json of a part, without the entries that the program decides.

    Raises:
        GoTError: it cannot be read.
    """
    return without_program_choices(read_json(folder / "config.json"))


def mllm_config(folder: Path) -> Qwen2_5_VLConfig:
    """The MLLM's config.

    Raises:
        GoTError: it is invalid.
    """
    from transformers import Qwen2_5_VLConfig

    with loading(folder / "config.json"):
        return Qwen2_5_VLConfig.from_dict(known_mllm(read_json(folder / "config.json")))


def load_part(part_class: Any, folder: Path, dtype: torch.dtype, config: Any = None) -> Any:
    """Load one complete part on the CPU: a missing or mis-shaped tensor is an error, never random weights.

    Args:
        config: of a language model, if it is not that of an MLLM as in a checkpoint.

    Raises:
        GoTError: the folder's weights do not match its config.json.
    """
    if config is None and part_class.__name__.startswith("Qwen"):
        config = mllm_config(folder)
    options = {"config": config, "attn_implementation": ATTENTION} if config is not None else {}
    with loading(folder):
        part, report = part_class.from_pretrained(
            folder,
            torch_dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
    for kind, words in (("missing_keys", "lacks the tensors"), ("unexpected_keys", "has no place for")):
        if report[kind]:
            names = ", ".join(sorted(report[kind])[:MAX_NAMED])
            raise GoTError(
                f"{folder}: what its config.json describes {words} {names}. Copy the folder again."
            )
    return part.eval().requires_grad_(False)


def load_projectors(file: Path, sizes: Sizes) -> SemanticSpatialGuidance:
    """The two projectors, in float32 on the CPU.

    Raises:
        GoTError: the file's tensors do not match the checkpoint's sizes.
    """
    from safetensors.torch import load_file

    from ..diffusion.ssgm import SemanticSpatialGuidance

    projectors = SemanticSpatialGuidance(sizes.hidden, sizes.cross_attention, sizes.pooled)
    with loading(file):
        projectors.load_state_dict(load_file(file))
    return projectors.eval().requires_grad_(False)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer with GoT's tokens.

    Raises:
        GoTError: it is invalid, or lacks tokens or a chat template.
    """
    from transformers import AutoTokenizer

    with loading(folder):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        vocabulary = tokenizer.get_vocab()
        missing = sorted(set(SPECIAL_TOKENS) - vocabulary.keys())
        if missing:
            raise GoTError(f"{folder}: the tokenizer lacks {', '.join(missing[:MAX_NAMED])}. Copy it again.")
        asked = conversation(tokenizer, "generate", "a", 0)  # a chat template is a program, may be damaged
        tokens = [*filter(vocabulary.__contains__, NEEDED), *SPECIAL_TOKEN.findall(asked)]
        read = tokenizer(tokens, add_special_tokens=False)["input_ids"]
        apart = [token for token, ids in zip(tokens, read, strict=True) if ids != [vocabulary.get(token)]]
        if apart:
            raise GoTError(
                f"{folder}: the tokenizer does not read {', '.join(apart[:MAX_NAMED])} as one token each. "
                "Copy it again."
            )
    return tokenizer


def check_tokens(folder: Path, config: Qwen2_5_VLConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that the MLLM and the tokenizer of a checkpoint folder agree on the special tokens.

    Raises:
        GoTError: they do not.
    """
    vocabulary = tokenizer.get_vocab()
    for key, token in (("image_token_id", IMAGE_PAD), ("vision_start_token_id", VISION_START)):
        if getattr(config, key) != vocabulary.get(token):
            raise GoTError(
                f"{folder / 'mllm/config.json'}: {key} is {getattr(config, key)}, but the tokenizer's "
                f"{token} is {vocabulary.get(token)}. Copy the folder again."
            )
    rows = config.get_text_config().vocab_size
    if max(vocabulary.values()) >= rows:
        raise GoTError(
            f"{folder}: the tokenizer has tokens up to number {max(vocabulary.values())}, the MLLM only "
            f"{rows}. Copy the folder again."
        )


def load_image_processor(folder: Path) -> Any:
    """Qwen2-VL's image processor on Pillow: a separate class since transformers 5, the default before.

    Raises:
        GoTError: its settings are invalid.
    """
    with loading(folder / "preprocessor_config.json"):
        settings = read_json(folder / "preprocessor_config.json")
        return _image_processor_class()(**{key: settings[key] for key in PROCESSOR if key in settings})


def _image_processor_class() -> Any:
    try:
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    except ImportError:
        from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

        return Qwen2VLImageProcessor
    return Qwen2VLImageProcessorPil
