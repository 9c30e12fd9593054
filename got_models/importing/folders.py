"""The three published folders: their repositories, their location, and the files that an import reads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import GoTError
from ..files.staging import UNFINISHED

GOT, QWEN, SDXL = "GoT-6B", "Qwen2.5-VL-3B-Instruct", "stable-diffusion-xl-base-1.0"
QWEN_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
)
SDXL_FILES = ("unet/config.json", "vae/config.json", "scheduler/scheduler_config.json")
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")  # or their shards, listed in "<name>.index.json"


@dataclass(frozen=True)
class Repository:
    """A publisher's repository on huggingface.co, and the files in it that an import reads, as patterns."""

    name: str
    files: tuple[str, ...]


REPOSITORIES = {
    GOT: Repository("LucasFang/GoT-6B", ("pytorch_model.bin.index.json", "pytorch_model-*.bin")),
    QWEN: Repository("Qwen/Qwen2.5-VL-3B-Instruct", (*QWEN_FILES, "chat_template.json")),
    SDXL: Repository("stabilityai/stable-diffusion-xl-base-1.0", SDXL_FILES),
}
"""Folder -> its repository."""


@dataclass(frozen=True)
class PublishedFolders:
    """GoT-6B, which holds all weights, and the two base models, of which only settings are read."""

    got: Path
    qwen: Path
    sdxl: Path


def find_folders(source: Path, qwen: Path | None = None, sdxl: Path | None = None) -> PublishedFolders:
    """
    Args:
        source: the folder that contains GoT-6B, or GoT-6B itself; the others are searched for next to it.
        qwen, sdxl: where these two are, if elsewhere.

    Raises:
        GoTError: a folder or some of its files are missing; the message lists them all.
    """
    itself = not os.path.isdir(source / GOT) and (source.name == GOT or _holds_weights(source))
    got = source if itself else source / GOT
    parent = got.absolute().parent
    folders = PublishedFolders(got, qwen or parent / QWEN, sdxl or parent / SDXL)
    missing = []
    for folder, name, files in (
        (folders.got, GOT, ()),
        (folders.qwen, QWEN, QWEN_FILES),
        (folders.sdxl, SDXL, SDXL_FILES),
    ):
        if not os.path.isdir(folder):
            missing.append(f"the folder {folder} ({name})")
        else:
            missing += [str(folder / file) for file in files if not os.path.isfile(folder / file)]
    if missing:
        raise GoTError(
            f"An import needs {GOT}, {QWEN} and {SDXL} side by side, or `qwen` and `sdxl` with where these"
            f" two are. Missing: {', '.join(missing)}. {download_instructions()}"
        )
    return folders


def download_instructions() -> str:
    """Instructions for downloading by hand: which files, and from where."""
    lists = [
        f"{folder}: {', '.join(repository.files)} (https://huggingface.co/{repository.name})"
        for folder, repository in REPOSITORIES.items()
    ]
    return f"What belongs into each folder: {'; '.join(lists)}."


def needs_import(folder: Path) -> bool:
    """Whether a folder is not a checkpoint yet, but published weights or an unfinished import."""
    if folder.suffix == UNFINISHED:
        return True
    return not (folder / "got.json").is_file() and ((folder / GOT).is_dir() or _holds_weights(folder))


def _holds_weights(folder: Path) -> bool:
    names = [name for weights in WEIGHT_FILES for name in (weights, f"{weights}.index.json")]
    return any(os.path.isfile(folder / name) for name in names)
