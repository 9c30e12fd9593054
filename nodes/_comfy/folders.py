"""ComfyUI's folders: checkpoints, LoRA files, input and output, and the names and paths that users enter.

Anything unreachable, such as a disconnected network drive, is skipped with a line in the log.
Without ComfyUI the folders are `models/got`, `models/loras`, `input` and `output` in the working directory.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import string
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...got_models.constants import BUNDLED_CHECKPOINT, LESSONS
from ...got_models.errors import GoTError, printable, short_repr
from ...got_models.files.staging import UNFINISHED
from ...got_models.importing.folders import needs_import
from ...got_models.weights.stock_folders import is_stock
from . import inside_comfyui

MODEL_FOLDER = "got"
BUNDLED_NAME = "tiny (bundled)"
BUNDLED_DATASETS = {"brown crosses (bundled)": LESSONS / "brown_crosses"}
NEEDS_IMPORT = " (needs import)"
OF_ANOTHER_MODEL = ("config.json", "model_index.json")
"""A folder with one of these is a model of another kind, not a group of checkpoints."""
FOLDER_NAME = re.compile(r"\w[\w .+-]{0,99}(?<![. ])")
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE)
"""Names that Windows reserves for devices, with any extension."""
NETWORK = re.compile(r"[\\/]([\\/]|\?\?[\\/])")
"""The beginning of a path on Windows that leads to a server or a device."""
QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "\u201e": "\u201c"}
INVISIBLE = (
    string.whitespace + "\xa0\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
"""Invisible characters that Windows puts before a path copied from a file's properties, and similar ones."""

_logged: set[str] = set()


# Checkpoints


class _Found(NamedTuple):
    folder: Path
    needs_import: bool


def checkpoint_names() -> list[str]:
    """The bundled checkpoint, then all in the `got` model folders; those to import first are marked."""
    found = _checkpoints()
    return [BUNDLED_NAME, *sorted(name + NEEDS_IMPORT * found[name].needs_import for name in offered(found))]


def checkpoint_folder(name: str) -> Path:
    """The folder of a checkpoint by a name from `checkpoint_names`.

    Raises:
        GoTError: no such name (a path, such as `../other`, never is one), or it has to be imported first.
    """
    found = {BUNDLED_NAME: _Found(BUNDLED_CHECKPOINT, False), **_checkpoints()}
    plain = name.removesuffix(NEEDS_IMPORT)
    if plain not in found:
        raise GoTError(
            f"There is no GoT checkpoint {short_repr(name)}. Put its folder, the one that holds got.json, "
            f"into {' or '.join(_model_folders())}, or get GoT-6B with GoT Import Checkpoint; then refresh "
            f"the page. There now: {', '.join(found)}."
        )
    if plain.endswith(UNFINISHED):
        raise GoTError(
            f"{plain!r} is an import that has not ended. Run GoT Import Checkpoint again with the same "
            "inputs: it resumes where it stopped."
        )
    if found[plain].needs_import:
        raise GoTError(
            f"{plain!r} holds weights as they were published, and has to be imported first. Run GoT Import "
            f"Checkpoint with {plain!r} as its source, refresh the page, and choose the checkpoint that it "
            "has made."
        )
    return found[plain].folder


def new_checkpoint_folder(name: str) -> Path:
    """Where a checkpoint with this name is created: in the first of the `got` model folders.

    Raises:
        GoTError: the name is not valid for a folder.
    """
    if not is_folder_name(name) or name.endswith((UNFINISHED, ".lock")):
        raise GoTError(
            f"{short_repr(name)} cannot be the name of a folder in models/got, which must not end in "
            f"{UNFINISHED!r} either. {NAMING}"
        )
    return Path(_model_folders()[0], name)


def published_folder(text: str) -> Path:
    """The folder that a user refers to by its name in a `got` model folder, or by a full path.

    Raises:
        GoTError: the text is empty, or no folder can have such a name.
    """
    path = typed_path(text)
    if path is None:
        raise GoTError(
            "The source is empty. Name the folder that holds GoT-6B: in models/got, or a full path."
        )
    places = [Path(folder, path) for folder in _model_folders()]
    return next((place for place in places if os.path.isdir(place)), places[0])


def _checkpoints() -> dict[str, _Found]:
    """Name -> checkpoint or published weights in the model folders, or in a group there: `mine/checkpoint-a`.

    Hidden ones are skipped; if two model folders contain the same name, the first one is used.
    """
    found: dict[str, _Found] = {}
    for models in _model_folders():
        for folder in subfolders(models):
            whole = _inspect(folder)
            for one in [whole] if whole else map(_inspect, _group(folder)):
                if one:
                    found.setdefault(one.folder.relative_to(models).as_posix(), one)
    return found


def _inspect(folder: Path) -> _Found | None:
    """A folder with a checkpoint or published weights, else None."""
    try:
        to_import = needs_import(folder)
        return _Found(folder, to_import) if to_import or (folder / "got.json").is_file() else None
    except OSError as error:
        _leave_out(folder, error)
        return None


def _group(folder: Path) -> list[Path]:
    """The subfolders of a folder that groups several checkpoints and is not a model of another kind."""
    other = any(os.path.lexists(folder / name) for name in OF_ANOTHER_MODEL)
    return [] if other else subfolders(folder)


# Language models as published


def language_model_names() -> list[str]:
    """Folders of Qwen2.5-VL and Qwen3-VL in `models/LLM` or `models/text_encoders`, or in a group there."""
    return offered(_language_models())


def language_model_folder(name: str) -> Path:
    """The folder of a language model by a name from `language_model_names`.

    Raises:
        GoTError: no such name.
    """
    found = _language_models()
    if name not in found:
        raise GoTError(
            f"There is no language model {short_repr(name)}. Put the whole folder of Qwen2.5-VL or Qwen3-VL, "
            f"as published, into {_language_model_folders()[0]}, and refresh the page. There now: "
            f"{', '.join(found) or 'none'}."
        )
    return found[name]


def _language_models() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for models in _language_model_folders():
        for folder in subfolders(models):
            for one in [folder] if is_stock(folder) else filter(is_stock, _group(folder)):
                found.setdefault(one.relative_to(models).as_posix(), one)
    return dict(sorted(found.items()))


def _language_model_folders() -> list[str]:
    """The places where packs for language models put them, the usual one first."""
    if not inside_comfyui():
        return [os.path.abspath(os.path.join("models", "LLM"))]
    import folder_paths

    registered = [*folder_paths.folder_names_and_paths.get("LLM", [[]])[0]]
    text_encoders = folder_paths.get_folder_paths("text_encoders")
    return [os.path.join(folder_paths.models_dir, "LLM"), *registered, *text_encoders]


# Files


def input_files(suffix: str) -> list[str]:
    """The names of all files with this suffix (`.png`) in ComfyUI's input folder."""
    names = [path.name for path, _ in _reachable(_input_folder())]
    return offered(name for name in names if name.lower().endswith(suffix))


def input_file(name: str) -> Path:
    """A file of ComfyUI's input folder or its subfolders; `name [output]` refers to the output folder.

    Raises:
        GoTError: it is missing or is elsewhere.
    """
    plain, folder = name, _input_folder()
    if inside_comfyui():
        import folder_paths

        plain, noted = folder_paths.annotated_filepath(name)
        folder = os.path.abspath(noted or folder)
    path = os.path.abspath(os.path.join(folder, plain.strip()))
    if not path.startswith(folder + os.sep) or not os.path.isfile(path):
        raise GoTError(f"There is no file {short_repr(name)} in ComfyUI's input folder. Upload it again.")
    return Path(path)


def dataset_folder(text: str) -> Path:
    """The dataset folder that a user refers to: by its name in ComfyUI's input folder, or by a full path.

    The pack's own datasets are available under the names in BUNDLED_DATASETS.

    Raises:
        GoTError: the text is empty, or no folder can have such a name.
    """
    if text.strip() in BUNDLED_DATASETS:
        return BUNDLED_DATASETS[text.strip()]
    path = typed_path(text)
    if path is None:
        raise GoTError(
            "The folder is empty. Name the one that holds data.jsonl: in ComfyUI's input folder, or a full "
            "path."
        )
    return Path(_input_folder(), path)


def lora_folders() -> list[Path]:
    """ComfyUI's folders for LoRA files."""
    if not inside_comfyui():
        return [Path("models", "loras").resolve()]
    import folder_paths

    return [Path(folder) for folder in folder_paths.get_folder_paths("loras")]


def output_folder() -> Path:
    """ComfyUI's folder for results."""
    if not inside_comfyui():
        return Path("output").resolve()
    import folder_paths

    return Path(folder_paths.get_output_directory()).resolve()


def _model_folders() -> list[str]:
    if not inside_comfyui():
        return [os.path.abspath(os.path.join("models", MODEL_FOLDER))]
    import folder_paths

    folders: list[str] = folder_paths.get_folder_paths(MODEL_FOLDER)
    return folders


def _input_folder() -> str:
    if not inside_comfyui():
        return os.path.abspath("input")
    import folder_paths

    return os.path.abspath(folder_paths.get_input_directory())


# Names entered by users

NAMING = (
    "Use up to 100 letters, digits, spaces and . + - _, a letter or digit first, no dot or space at the end, "
    "and no name that Windows keeps for a device, such as CON or COM1."
)
"""What `is_folder_name` requires."""


def is_network_or_device(text: str) -> bool:
    r"""Whether a path that a user has typed names a network share or a device, as Windows understands it.

    Such are \\server\share, \\.\pipe and NUL. No file system is asked.

    Raises:
        GoTError: no file can have such a name.
    """
    path = str(typed_path(text) or "")
    return bool(NETWORK.match(path)) or any(map(RESERVED.fullmatch, re.split(r"[\\/]", path)))


def is_in_input_folder(path: str) -> bool:
    """Whether an absolute path lies below ComfyUI's input folder. No file system is asked."""
    return path.startswith(_input_folder() + os.sep)


def is_folder_name(name: str) -> bool:
    """Whether a name is valid for a folder, on this and on any other system that it is copied to."""
    return FOLDER_NAME.fullmatch(name) is not None and RESERVED.fullmatch(name) is None


def typed_path(text: str) -> Path | None:
    """The path that a user has typed or pasted: bare, in quotes, or as a file:// address. None if empty.

    Raises:
        GoTError: no file can have such a name.
    """
    path = text.strip(INVISIBLE)
    while len(path) > 1 and QUOTES.get(path[0]) == path[-1]:
        path = path[1:-1].strip(INVISIBLE)
    try:
        if path.lower().startswith("file://"):
            address = urlsplit(path)
            server = "" if address.netloc == "localhost" else address.netloc
            path = url2pathname(f"//{server}{address.path}" if server else address.path)
        possible = b"\0" not in os.fsencode(path)
    except ValueError:
        possible = False
    if not possible:
        raise GoTError(
            f"{short_repr(text)} cannot be a path: it holds characters that no file's name can have."
        )
    return Path(os.path.expanduser(path)) if path else None


# Listing folders


def offered(names: Iterable[str]) -> list[str]:
    """Those names on disk that a list in the page can show: some frontends interpret a `<` as markup."""
    harmless = []
    for name in names:
        if "<" in name or name != printable(name):
            _leave_out(name, "its name holds < or a control character. Rename it")
        else:
            harmless.append(name)
    return harmless


def subfolders(folder: str | Path) -> list[Path]:
    """The subfolders of a folder, following links; hidden and unreachable ones are skipped."""
    return [
        path
        for path, status in _reachable(folder)
        if stat.S_ISDIR(status.st_mode) and not path.name.startswith(".")
    ]


def _reachable(folder: str | Path) -> Iterator[tuple[Path, os.stat_result]]:
    """A folder's entries, with links resolved; none if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            paths = sorted(entry.path for entry in entries)
    except FileNotFoundError:
        return
    except OSError as error:
        _leave_out(folder, error)
        return
    for path in paths:
        try:
            path.encode()
            yield Path(path), os.stat(path)
        except UnicodeEncodeError:
            _leave_out(path, "its name is not in UTF-8. Rename it")
        except OSError as error:
            _leave_out(path, error)


def _leave_out(path: str | Path, reason: object) -> None:
    """Log a path once, however often the page requests a listing."""
    if str(path) not in _logged:
        _logged.add(str(path))
        reason = getattr(reason, "strerror", None) or reason
        logging.warning("ComfyUI-GoT leaves out %s: %s.", printable(str(path)), printable(str(reason)))
