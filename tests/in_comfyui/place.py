"""Locates ComfyUI, its frontends and a browser; what is missing is downloaded if possible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
CACHE = Path("~/.cache/comfyui-got").expanduser()
REPOSITORY = "https://github.com/comfyanonymous/ComfyUI"
NEWER_FRONTEND = "1.58.1"
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
BOUNDED = ("accelerate", "diffusers", "huggingface_hub", "peft", "tokenizers", "transformers")


@dataclass(frozen=True)
class Release:
    """A version of ComfyUI, and the location of it and its virtual environment."""

    version: str
    folder: Path
    environment: Path


OLDEST = Release("0.3.64", CACHE / "ComfyUI", CACHE / "venv")
NEWEST = Release("0.33.0", CACHE / "ComfyUI-0.33", CACHE / "venv-0.33")


@dataclass(frozen=True)
class ComfyUI:
    """The folder that holds ComfyUI's main.py, and the Python that runs it."""

    folder: Path
    python: Path


def find_comfyui(release: Release) -> ComfyUI | None:
    """The cached copy, or for the newest release COMFYUI_PATH; with the Python of its own environment."""
    folder = release.folder
    if release == NEWEST and "COMFYUI_PATH" in os.environ:
        folder = Path(os.environ["COMFYUI_PATH"]).expanduser()
    if not (folder / "main.py").is_file():
        return None
    for environment in (folder / ".venv", folder / "venv", release.environment):
        for python in (environment / "bin" / "python", environment / "Scripts" / "python.exe"):
            if python.is_file():
                return ComfyUI(folder, python)
    return None


def require_comfyui(release: Release) -> ComfyUI:
    """A release, cloned and installed into the cache if necessary; skips if that fails."""
    if find_comfyui(release) is None and "COMFYUI_PATH" not in os.environ:
        install_comfyui(release)
    place = find_comfyui(release)
    if place is None:
        skip_loudly(f"no ComfyUI {release.version}: set COMFYUI_PATH to a folder with main.py and .venv")
    return place


def install_comfyui(release: Release) -> None:
    """ComfyUI and a virtual environment with all dependencies of it and this pack. Takes minutes."""
    unfinished = CACHE / f"unfinished-{release.version}"
    shutil.rmtree(unfinished, ignore_errors=True)
    if not succeeds("git", "clone", "--depth=1", f"--branch=v{release.version}", REPOSITORY, unfinished):
        return
    succeeds(sys.executable, "-m", "venv", unfinished / "venv")
    python = unfinished / "venv" / "bin" / "python"
    requirements = ("-r", unfinished / "requirements.txt", "-r", ROOT / "requirements.txt")
    if succeeds(python, "-m", "pip", "install", "--extra-index-url", CPU_WHEELS, *requirements):
        unfinished.rename(release.folder)


def newer_frontend() -> Path:
    """The folder of a newer frontend than the one that ComfyUI asks for."""
    folder = CACHE / f"frontend-{NEWER_FRONTEND}"
    static = folder / "comfyui_frontend_package" / "static"
    package = f"comfyui_frontend_package=={NEWER_FRONTEND}"
    pip = (sys.executable, "-m", "pip", "install", "--no-deps", "--target", folder, package)
    if not static.is_dir() and not succeeds(*pip):
        skip_loudly(f"{package} is neither in {folder} nor can it be installed")
    return static


def oldest_libraries() -> Path:
    """A folder for PYTHONPATH: of the large libraries, the oldest versions that requirements.txt allows."""
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    bounds = dict(line.split(">=") for line in requirements)
    versions = [f"{name}=={bounds[name]}.*" for name in BOUNDED]
    folder = CACHE / f"oldest-transformers-{bounds['transformers']}"
    unfinished = folder.with_suffix(".part")
    if not folder.is_dir():
        shutil.rmtree(unfinished, ignore_errors=True)
        if not succeeds(
            sys.executable, "-m", "pip", "install", "--no-deps", "--target", unfinished, *versions
        ):
            skip_loudly(f"{', '.join(versions)} are neither in {folder} nor can they be installed")
        unfinished.rename(folder)
    return folder


def find_chromium() -> str:
    """A Chromium that playwright can drive."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    skip_loudly("no Chromium: install your system's package of it")


def succeeds(*command: str | Path) -> bool:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    result = subprocess.run(list(map(str, command)), env=environment, capture_output=True, check=False)
    return result.returncode == 0


def skip_loudly(reason: str) -> NoReturn:
    """Skip, and report it in pytest's summary of warnings, which is always printed."""
    warnings.warn(f"skipped: {reason}", stacklevel=2)
    pytest.skip(reason)
