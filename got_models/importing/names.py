"""From the name of a published tensor to its name in a checkpoint.

The published MLLM carries the names of PEFT and of the transformers that trained it. A checkpoint keeps those
that Qwen2.5-VL is published with (`model.layers.*`, `visual.*`): transformers 4.51 to 5.x all read them.
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
_REPLACED = ".original_module."  # what PEFT keeps of a layer that was trained whole, in `modules_to_save`
_PEFT = (("base_model.model.", ""), (".base_layer.", "."), (".modules_to_save.default.", "."))

Recipe = dict[str, str]
"""What a tensor is made of: role (BASE, with LoRA also LORA_A and LORA_B) -> published name."""


@dataclass(frozen=True)
class Published:
    """What a published name says: the part that the tensor belongs to, its name there, and its role."""

    part: str
    name: str
    role: str


def read_name(published: str) -> Published | None:
    """None where the name belongs to no part."""
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
    """All published names -> (part -> name in the checkpoint -> recipe, the names that fit nowhere).

    A name that claims a place already taken fits nowhere either.
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
