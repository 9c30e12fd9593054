"""Reading published weights: one file or many, safetensors or pickles, memory-mapped and never executed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import GoTError, short_repr
from ..weights.checkpoint import Shapes, read_index
from .folders import WEIGHT_FILES


class PublishedWeights:
    """The tensors of a folder, across all its files; one file is open at a time, tensors are read lazily.

    Attributes:
        files: the weight files.
        shapes: published name -> shape, in file order.

    Raises:
        GoTError: a file is missing, damaged, or holds anything but tensors; two files hold the same tensor.
    """

    def __init__(self, folder: Path) -> None:
        self.files = find_weight_files(folder)
        self.shapes: Shapes = {}
        self._file_of: dict[str, Path] = {}
        self._open: tuple[Path | None, dict[str, Tensor]] = (None, {})
        for file in self.files:
            for key, tensor in self._tensors(file).items():
                if key in self.shapes:
                    raise GoTError(
                        f"Both {self._file_of[key]} and {file} hold {key}. Download {folder} again."
                    )
                self.shapes[key] = tuple(tensor.shape)
                self._file_of[key] = file

    def tensor(self, key: str) -> Tensor:
        """The tensor of a published name, a view into its file: pages are read on access."""
        return self._tensors(self._file_of[key])[key]

    def _tensors(self, file: Path) -> dict[str, Tensor]:
        if self._open[0] != file:
            self._open = (None, {})  # unmaps the last file before the next one is mapped
            self._open = (file, open_weights(file))
        return self._open[1]


def find_weight_files(folder: Path) -> list[Path]:
    """The files of the folder's weights; safetensors if there are both kinds.

    Raises:
        GoTError: no weights, an invalid index, or one that lists files that do not exist.
    """
    for name in WEIGHT_FILES:
        index = folder / f"{name}.index.json"
        if index.is_file():
            return _indexed_files(index)
        if (folder / name).is_file():
            return [folder / name]
    raise GoTError(
        f"{folder} has no weights: expected one of"
        f" {', '.join(f'{name}, {name}.index.json with its shards' for name in WEIGHT_FILES)}."
    )


def _indexed_files(index: Path) -> list[Path]:
    names = read_index(index)
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        raise GoTError(
            f"{index} names {len(names)} files, of which {len(missing)} are not there: {', '.join(missing)}."
            " Download them into the same folder, under these names."
        )
    return [index.parent / name for name in names]


def open_weights(file: Path) -> dict[str, Tensor]:
    """A memory-mapped weight file: name -> tensor. Pickles are read with `weights_only` exclusively.

    Raises:
        GoTError: the file is damaged, or holds anything but dense floating-point tensors by name.
    """
    try:
        if file.suffix != ".safetensors":
            if not zipfile.is_zipfile(file):  # torch.save writes an archive, whose directory comes last
                raise OSError("no archive")
            tensors = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
        else:
            tensors = load_file(file)
    except (SafetensorError, OSError, zipfile.BadZipFile) as error:
        raise GoTError(f"{file} is truncated or not a weight file: {error}. Download it again.") from error
    except Exception as error:  # whatever a hostile or broken pickle raises
        raise GoTError(
            f"{file} was refused, and nothing in it was run: it holds more than tensors, which could run"
            " code, or is damaged. Download it again, from its publisher."
        ) from error
    if not isinstance(tensors, dict):
        raise GoTError(f"{file} must hold tensors by name, got {type(tensors).__name__}.")
    for key, tensor in tensors.items():
        if not isinstance(key, str) or not _is_plain(tensor):
            raise GoTError(
                f"{file} must hold dense floating-point tensors by name, but {short_repr(key)} is none."
            )
    return {key: tensor.detach() for key, tensor in tensors.items()}


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and value.is_floating_point()
