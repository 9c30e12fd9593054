"""Adapters: the result of a LoRA training.

An adapter's tensors, for a module `<name>` of the part:

    mllm.<name>.lora_A, mllm.<name>.lora_B    factors of the change of its weight, `mllm_scale` B A
    unet.<name>.lora_A, unet.<name>.lora_B    the same for the UNet, with `unet_scale`
    mllm.special_tokens                       change of the embeddings of GoT's 66 tokens, in their order
    mllm.words, mllm.word_ids                 change of the embeddings of other tokens, and their ids
    projectors.<name>, unet.<name>            change of a weight that was trained in full

All are differences, scaled by the strength: 0 leaves the checkpoint unchanged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import GoTError, short_repr
from ..mllm.prompts import SPECIAL_TOKENS
from .patching import Change

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


LORA_A, LORA_B = ".lora_A", ".lora_B"
TOKENS = "mllm.special_tokens"
WORDS, WORD_IDS = "mllm.words", "mllm.word_ids"
EMBEDDINGS = "model.language_model.embed_tokens.weight"
PARTS = ("mllm", "projectors", "unet")


@dataclass(frozen=True, eq=False)
class Adapter:
    """An adapter's tensors under the names above; `information` describes its training.

    Raises:
        GoTError: tensors that no training produces, or values that are not finite.
    """

    tensors: dict[str, Tensor]
    mllm_scale: float
    unet_scale: float
    information: dict[str, Any]

    def __post_init__(self) -> None:
        for name in ("mllm_scale", "unet_scale"):
            if not is_finite_number(getattr(self, name)):
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
        """The changes to one part at a strength; none at 0.

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


def special_token_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The ids of GoT's 66 tokens, in their order."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in SPECIAL_TOKENS]


def is_finite_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max


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
        GoTError: one of the two LoRA factors is missing, or their shapes do not match.
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
        GoTError: the changes of word embeddings and their ids are inconsistent.
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
