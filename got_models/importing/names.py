"""Mapping the names of published tensors to their names in a checkpoint.

The published MLLM has names added by PEFT and by the transformers version that trained it. A checkpoint uses
those that Qwen2.5-VL is published with (`model.layers.*`, `visual.*`): transformers 4.51 to 5.x all read
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..weights.names import plain_mllm_name

PROJECTORS = "projectors"
PARTS = ("mllm", PROJECTORS, "unet", "vae")
BASE, LORA_A, LORA_B, REPLACED = "base", "lora_A", "lora_B", "replaced"

_LORA = re.compile(r"\.(lora_[AB])\.default(?=\.weight$)")
_REPLACED = ".original_module."  # PEFT's copy of a layer that was trained in full, in `modules_to_save`
_PEFT = (("base_model.model.", ""), (".base_layer.", "."), (".modules_to_save.default.", "."))

Recipe = dict[str, str]
"""The sources of a tensor: role (BASE, with LoRA also LORA_A and LORA_B) -> published name."""


@dataclass(frozen=True)
class Published:
    """A parsed published name: the tensor's part, its name there, and its role."""

    part: str
    name: str
    role: str


def read_name(published: str) -> Published | None:
    """None if the name belongs to no part."""
    part, _, name = published.partition(".")
    if part in ("output_projector", "output_projector_add"):
        return Published(PROJECTORS, published, BASE)
    if part in ("unet", "vae"):
        return Published(part, name, BASE)
    if part != "mllm":
        return None
    role = REPLACED if _REPLACED in name else BASE
    lora = _LORA.search(name)
    if lora:
        role = lora[1]
        name = _LORA.sub("", name)
    for old, new in _PEFT:
        name = name.replace(old, new)
    return Published(part, plain_mllm_name(name), role)


def gather(published: Iterable[str]) -> tuple[dict[str, dict[str, Recipe]], list[str]]:
    """All published names -> (part -> name in the checkpoint -> recipe, the names that match nothing).

    A name that maps to the same place as an earlier one counts as unmatched too.
    """
    recipes: dict[str, dict[str, Recipe]] = {part: {} for part in PARTS}
    unexpected = []
    for key in published:
        read = read_name(key)
        if read is None:
            unexpected.append(key)
        elif read.role != REPLACED:
            recipe = recipes[read.part].setdefault(read.name, {})
            if recipe.setdefault(read.role, key) != key:
                unexpected.append(key)
    return recipes, unexpected
