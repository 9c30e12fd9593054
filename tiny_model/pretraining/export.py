"""The finished checkpoint: the work folder's parts in float16, readable by transformers 4.5x and 5.x."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from got_models.weights.checkpoint import check

FOLDERS = ("mllm", "processor", "unet", "vae", "scheduler")
FILES = ("got.json", "projectors.safetensors")


def export_checkpoint(work: Path, target: Path) -> Path:
    """Copies a checkpoint's parts with their weights in float16; replaces an older ``target`` as a whole.

    Raises:
        GoTError: the result is not a checkpoint whose parts fit together.
    """
    temporary = target.with_name(target.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name in FOLDERS:
        shutil.copytree(work / name, temporary / name)
    for name in FILES:
        shutil.copy2(work / name, temporary / name)
    for file in sorted(temporary.rglob("*.safetensors")):
        tensors = {key: value.half().contiguous() for key, value in load_file(file).items()}
        save_file(tensors, file, metadata={"format": "pt"})
    rewrite(temporary / "processor" / "tokenizer_config.json", without_token_list)
    rewrite(temporary / "mllm" / "config.json", with_older_rope_names)
    for part in ("unet", "vae"):
        rewrite(temporary / part / "config.json", without_path)
    check(temporary)
    if target.exists():
        shutil.rmtree(target)
    temporary.rename(target)
    return target


def rewrite(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes a JSON file in place."""
    values = json.loads(file.read_text(encoding="utf-8"))
    change(values)
    file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def without_path(config: dict[str, Any]) -> None:
    """Remove the local folder that diffusers records for a loaded part."""
    config.pop("_name_or_path", None)


def without_token_list(config: dict[str, Any]) -> None:
    """transformers 4 expects a mapping under this name; the tokens themselves are in tokenizer.json."""
    config.pop("extra_special_tokens", None)


def with_older_rope_names(config: dict[str, Any]) -> None:
    """transformers 5 writes ``rope_parameters``; 4 reads ``rope_theta`` and ``rope_scaling``."""
    text = config["text_config"]
    rope = text.get("rope_parameters")
    if rope:
        text["rope_theta"] = rope["rope_theta"]
        text["rope_scaling"] = {
            "type": "mrope",
            "rope_type": "default",
            "mrope_section": rope["mrope_section"],
        }
