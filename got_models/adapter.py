"""Adapters: what a LoRA training has changed, in one safetensors file, and how a model takes it up.

The file's tensors, for a module `<name>` of the part:

    mllm.<name>.lora_A, mllm.<name>.lora_B    factors of the change of its weight, `mllm_scale` B A
    unet.<name>.lora_A, unet.<name>.lora_B    the same for the UNet, with `unet_scale`
    mllm.special_tokens                       change of the embeddings of GoT's 66 tokens, in their order
    mllm.words, mllm.word_ids                 change of the embeddings of other tokens, and their ids
    projectors.<name>, unet.<name>            change of a weight that was trained in full

All are changes, so that a strength multiplies them: 0 leaves the checkpoint as it is.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .changing import Change, take_up
from .errors import GoTError, short_repr
from .loading import loading, mllm_config, part_config
from .prompts import SPECIAL_TOKENS
from .whole_files import whole_file

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .model import GoTModel

FORMAT, FORMAT_VERSION = "got-adapter", "1"
LORA_A, LORA_B = ".lora_A", ".lora_B"
TOKENS = "mllm.special_tokens"
WORDS, WORD_IDS = "mllm.words", "mllm.word_ids"
EMBEDDINGS = "model.language_model.embed_tokens.weight"
PARTS = ("mllm", "projectors", "unet")
NUMBER_FORMATS = ("F16", "BF16", "F32", "F64")
LONGEST_HEADER = 16 << 20
"""Bytes; that of an adapter of the whole of GoT-6B has less than one million."""
LARGEST_CHANGE = 65504.0
"""Of a value; the largest number in float16. Weights are around 0.1."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter's tensors under the names above; `information` says how it was trained.

    Raises:
        GoTError: tensors that no training makes, or values that are no finite numbers.
    """

    tensors: dict[str, Tensor]
    mllm_scale: float
    unet_scale: float
    information: dict[str, Any]

    def __post_init__(self) -> None:
        for name in ("mllm_scale", "unet_scale"):
            if not _is_finite_number(getattr(self, name)):
                raise GoTError(
                    f"The adapter's {name} must be a finite number, got {short_repr(getattr(self, name))}."
                )
        if not isinstance(self.information, dict):
            raise GoTError(
                f"The adapter's information must be a JSON object, got {short_repr(self.information)}."
            )
        for name, tensor in self.tensors.items():
            _check_tensor(name, tensor)
        _check_factors(self.tensors)
        _check_words(self.tensors)

    def changes(self, part: str, strength: float, special_tokens: Sequence[int] = ()) -> list[Change]:
        """What it changes in one part at a strength; at 0 nothing.

        Args:
            part: "mllm", "projectors" or "unet".
            special_tokens: the ids of GoT's tokens, as `special_token_ids` gives them.
        """
        return list(self._changes(part, strength, special_tokens)) if strength else []

    def _changes(self, part: str, strength: float, special_tokens: Sequence[int]) -> Iterator[Change]:
        scale = {"mllm": self.mllm_scale, "unet": self.unet_scale}.get(part, 1.0)
        for key, tensor in self.tensors.items():
            owner, _, name = key.partition(".")
            if owner != part or name.endswith(LORA_B) or key == WORD_IDS:
                continue
            if key in (TOKENS, WORDS):
                rows = special_tokens if key == TOKENS else self.tensors[WORD_IDS].tolist()
                yield Change(EMBEDDINGS, tensor, strength, rows=rows)
            elif name.endswith(LORA_A):
                name = name.removesuffix(LORA_A)
                up = self.tensors[f"{part}.{name}{LORA_B}"]
                yield Change(f"{name}.weight", tensor, strength * scale, up)
            else:
                yield Change(name, tensor, strength)


def save_adapter(file: Path, adapter: Adapter) -> None:
    """Write an adapter, whole or not at all.

    Raises:
        GoTError: the disk is full or cannot be written to.
    """
    metadata = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "mllm_scale": repr(adapter.mllm_scale),
        "unet_scale": repr(adapter.unet_scale),
        "information": json.dumps(adapter.information),
    }
    _write(file, adapter.tensors, metadata)


def save_unet_lora(file: Path, adapter: Adapter) -> None:
    """Write the UNet's factors under the names that ComfyUI's own LoRA loader takes for an SDXL UNet.

    `lora_unet_<name>`, with "_" for ".", has `.lora_down.weight` (A), `.lora_up.weight` (B) and `.alpha`,
    which that loader divides by the rank: at strength 1 it makes the change that the adapter makes at 1.
    """
    tensors = {}
    for key, down in adapter.tensors.items():
        if key.startswith("unet.") and key.endswith(LORA_A):
            name = key.removesuffix(LORA_A)
            target = "lora_unet_" + name.removeprefix("unet.").replace(".", "_")
            tensors[f"{target}.lora_down.weight"] = down
            tensors[f"{target}.lora_up.weight"] = adapter.tensors[name + LORA_B]
            tensors[f"{target}.alpha"] = torch.tensor(adapter.unet_scale * down.shape[0])
    _write(file, tensors, {"format": "pt"})


def load_adapter(file: str | Path) -> Adapter:
    """Read an adapter file. Its tensors are copied: the file may be written again while they are in use.

    Raises:
        GoTError: it is missing, damaged, something else than an adapter, or of a newer version.
    """
    try:
        _check_header(file)
        with safe_open(str(file), framework="pt") as opened:
            metadata = opened.metadata() or {}
            _check_format(file, metadata)
            tensors = {name: _read(file, opened, name) for name in opened.keys()}  # noqa: SIM118
    except GoTError:
        raise
    except (SafetensorError, OSError, ValueError) as error:
        raise GoTError(f"{file} is missing, truncated or not a safetensors file ({error}).") from error
    try:
        scales = float(metadata["mllm_scale"]), float(metadata["unet_scale"])
        information = json.loads(metadata["information"])
    except (KeyError, ValueError, RecursionError) as error:
        raise GoTError(f"{file} has damaged metadata ({error}). Copy it again.") from error
    try:
        return Adapter(tensors, *scales, information)
    except GoTError as error:
        raise GoTError(
            f"{file} is damaged, or its training went wrong. {error} Copy it again, or train anew."
        ) from error


def apply_adapter(
    model: GoTModel, adapter: Adapter, mllm_strength: float = 1.0, unet_strength: float = 1.0
) -> None:
    """Change a model's weights in place by an adapter. The projectors follow the MLLM's strength.

    What the model knows with it, its checkpoint cannot say.

    Raises:
        GoTError: the adapter was trained on a checkpoint with other parts or widths, or a strength cannot be
            used; nothing is changed.
    """
    check_strengths(adapter, mllm_strength, unet_strength)
    parts = {"mllm": model.reasoner.mllm, "projectors": model.ssgm, "unet": model.unet}
    _check_fits(parts, adapter)
    special_tokens = special_token_ids(model.reasoner.tokenizer)
    for part, module in parts.items():
        change_part(part, module, adapter, _strength(part, mllm_strength, unet_strength), special_tokens)
    model.reasoner.cache.forget()
    model.vocabulary = None


def change_part(
    part: str, module: Any, adapter: Adapter, strength: float, special_tokens: Sequence[int]
) -> None:
    """Change the weights of one part in place, by an adapter that fits; arguments as `Adapter.changes`."""
    for change in adapter.changes(part, strength, special_tokens):
        take_up(module, change)


def check_strengths(adapter: Adapter, mllm_strength: float, unet_strength: float) -> None:
    """
    Raises:
        GoTError: a strength is no finite number, or so large that nothing could be computed.
    """
    for name, strength in (("mllm_strength", mllm_strength), ("unet_strength", unet_strength)):
        if not _is_finite_number(strength):
            raise GoTError(
                f"{name} must be a number, such as 1 for the adapter as it was trained; got "
                f"{short_repr(strength)}."
            )
    for part in PARTS:
        for change in adapter.changes(part, _strength(part, mllm_strength, unet_strength)):
            if not change.bound() <= LARGEST_CHANGE:
                raise GoTError(
                    f"At these strengths, {mllm_strength:g} and {unet_strength:g}, the adapter changes "
                    f"{part}.{change.weight} by up to {change.bound():g}: by values that {torch.float16} "
                    "cannot hold. Choose smaller strengths."
                )


def check_adapter(model: GoTModel, adapter: Adapter) -> None:
    """Whether an adapter fits a checkpoint, before any weights load.

    Raises:
        GoTError: the adapter was trained on a checkpoint with other parts or widths.
    """
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
    from transformers import Qwen2_5_VLForConditionalGeneration

    from .ssgm import SemanticSpatialGuidance

    sizes = model.settings.sizes
    with torch.device("meta"), loading(model.path):
        parts = {
            "mllm": Qwen2_5_VLForConditionalGeneration(mllm_config(model.path / "mllm")),
            "projectors": SemanticSpatialGuidance(sizes.hidden, sizes.cross_attention, sizes.pooled),
            "unet": UNet2DConditionModel.from_config(part_config(model.path / "unet")),
        }
    _check_fits(parts, adapter)


def special_token_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The ids of GoT's 66 tokens, in their order."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in SPECIAL_TOKENS]


def _write(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(file) as beside:
        save_file(content, beside, metadata)


def _strength(part: str, mllm_strength: float, unet_strength: float) -> float:
    return unet_strength if part == "unet" else mllm_strength


def _is_finite_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _check_header(file: str | Path) -> None:
    """
    Raises:
        GoTError: it is no file, but a pipe or a device, which may never end; or reading the list of what it
            holds would take the memory of the machine.
    """
    if os.path.exists(file) and not os.path.isfile(file):
        raise GoTError(f"{file} is no file. Choose one that `train` has written.")
    with open(file, "rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
    if length > LONGEST_HEADER:
        raise GoTError(
            f"{file} is truncated or not a safetensors file: its header would have {length} bytes, and that "
            f"of an adapter has at most {LONGEST_HEADER}. Copy it again."
        )


def _check_format(file: str | Path, metadata: dict[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise GoTError(
            f"{file} is no GoT adapter: its metadata says {short_repr(metadata.get('format'))}, not "
            f"{FORMAT!r}. Choose a file that `train` has written."
        )
    if metadata.get("format_version") != FORMAT_VERSION:
        raise GoTError(
            f"{file} has format version {short_repr(metadata.get('format_version'))}, this program reads "
            f"{FORMAT_VERSION}. Update it."
        )


def _read(file: str | Path, opened: Any, name: str) -> Tensor:
    """A copy of a tensor, so that the file does not stay mapped into memory."""
    kind = opened.get_slice(name).get_dtype()
    if kind not in (("I64",) if name == WORD_IDS else NUMBER_FORMATS):
        raise GoTError(
            f"{file} is damaged: its {name} holds values of the type {kind}, which no training writes. Copy "
            "it again."
        )
    tensor: Tensor = opened.get_tensor(name)
    return tensor.clone()


def _check_tensor(name: str, tensor: Tensor) -> None:
    if tensor.numel() == 0:
        raise GoTError(f"The adapter's {name} is empty.")
    if not tensor.is_floating_point() and name != WORD_IDS:
        raise GoTError(f"The adapter's {name} holds {tensor.dtype} in place of fractions.")
    if not torch.isfinite(tensor).all():
        raise GoTError(f"The adapter's {name} holds NaN or infinite values.")


def _check_factors(tensors: dict[str, Tensor]) -> None:
    """
    Raises:
        GoTError: one of LoRA's two factors is missing, or they cannot be multiplied.
    """
    for key, down in tensors.items():
        end = next((end for end in (LORA_A, LORA_B) if key.endswith(end)), None)
        if end is None:
            continue
        name = key.removesuffix(end)
        other = name + (LORA_B if end == LORA_A else LORA_A)
        if other not in tensors:
            raise GoTError(f"The adapter lacks the second factor of {key}.")
        up = tensors[other]
        if end == LORA_A and (down.ndim < 2 or up.ndim < 2 or up[0].numel() != down.shape[0]):
            raise GoTError(
                f"The adapter's two factors of {name} do not fit together: {list(up.shape)} and "
                f"{list(down.shape)}."
            )


def _check_words(tensors: dict[str, Tensor]) -> None:
    """
    Raises:
        GoTError: the changes of words and their ids do not belong together.
    """
    if (WORDS in tensors) != (WORD_IDS in tensors):
        raise GoTError(f"The adapter holds only one of {WORDS} and {WORD_IDS}.")
    if WORDS not in tensors:
        return
    words, ids = tensors[WORDS], tensors[WORD_IDS]
    if ids.dtype != torch.int64 or ids.ndim != 1 or len(ids) != len(words) or int(ids.min()) < 0:
        raise GoTError(f"The adapter's {WORD_IDS} must be {len(words)} ids of tokens.")
    if len(ids.unique()) != len(ids):
        raise GoTError(f"The adapter's {WORD_IDS} name a token twice.")


def _check_fits(parts: dict[str, Any], adapter: Adapter) -> None:
    """
    Raises:
        GoTError: a tensor has no weight to change, or one of another shape; names both.
    """
    shapes = {
        f"{part}.{name}": tuple(weight.shape)
        for part, module in parts.items()
        for name, weight in module.named_parameters()
    }
    embedding = parts["mllm"].get_parameter(EMBEDDINGS)
    shapes[TOKENS] = (len(SPECIAL_TOKENS), embedding.shape[1])
    words = adapter.tensors.get(WORD_IDS, torch.empty(0, dtype=torch.int64))
    if (words < embedding.shape[0]).all():
        shapes[WORDS], shapes[WORD_IDS] = (len(words), embedding.shape[1]), (len(words),)
    for key, tensor in adapter.tensors.items():
        if key.endswith(LORA_B):
            continue
        weight, shape = key, tuple(tensor.shape)
        if key.endswith(LORA_A):
            name = key.removesuffix(LORA_A)
            weight = f"{name}.weight"
            shape = (*adapter.tensors[name + LORA_B].shape[:1], *shape[1:])
        if shapes.get(weight) != shape:
            raise GoTError(
                f"The adapter does not fit this checkpoint: it changes {weight} of shape {list(shape)}, and "
                f"the checkpoint has {list(shapes[weight]) if weight in shapes else 'no such weight'}. Use "
                "the checkpoint that it was trained on."
            )
