"""The three published folders: where they are, and which of their files an import reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import GoTError

GOT, QWEN, SDXL = "GoT-6B", "Qwen2.5-VL-3B-Instruct", "stable-diffusion-xl-base-1.0"
QWEN_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
)
SDXL_FILES = ("unet/config.json", "vae/config.json", "scheduler/scheduler_config.json")


@dataclass(frozen=True)
class PublishedFolders:
    """GoT-6B, which holds all weights, and the two models it grew from, of which only settings are read."""

    got: Path
    qwen: Path
    sdxl: Path


def find_folders(source: Path, qwen: Path | None = None, sdxl: Path | None = None) -> PublishedFolders:
    """
    Args:
        source: the folder that holds GoT-6B, or GoT-6B itself; the others are looked for beside it.
        qwen, sdxl: where these two are, if elsewhere.

    Raises:
        GoTError: a folder or some of its files are missing; the message lists them all.
    """
    got = source / GOT if (source / GOT).is_dir() else source
    beside = got.absolute().parent
    folders = PublishedFolders(got, qwen or beside / QWEN, sdxl or beside / SDXL)
    missing = []
    for folder, name, files in (
        (folders.got, GOT, ()),
        (folders.qwen, QWEN, QWEN_FILES),
        (folders.sdxl, SDXL, SDXL_FILES),
    ):
        if not folder.is_dir():
            missing.append(f"the folder {folder} ({name})")
        else:
            missing += [str(folder / file) for file in files if not (folder / file).is_file()]
    if missing:
        raise GoTError(
            f"An import needs {GOT}, {QWEN} and {SDXL} side by side, or --qwen and --sdxl with where they"
            f" are. Missing: {', '.join(missing)}."
        )
    return folders
