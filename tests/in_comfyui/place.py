"""Where ComfyUI is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CACHED = Path("~/.cache/comfyui-got/ComfyUI")


@dataclass(frozen=True)
class ComfyUI:
    """The folder that holds ComfyUI's main.py, and the Python that runs it."""

    folder: Path
    python: Path


def find_comfyui() -> ComfyUI | None:
    """COMFYUI_PATH, else the cached copy; with the Python of a virtual environment in it or beside it."""
    folder = Path(os.environ.get("COMFYUI_PATH") or CACHED).expanduser()
    if not (folder / "main.py").is_file():
        return None
    for environment in (folder / ".venv", folder / "venv", folder.parent / "venv"):
        for python in (environment / "bin" / "python", environment / "Scripts" / "python.exe"):
            if python.is_file():
                return ComfyUI(folder, python)
    return None
