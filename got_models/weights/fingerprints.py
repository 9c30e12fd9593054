"""Fingerprints of a checkpoint's weights, which detect changes.

Computing one reads gigabytes, so it is cached by the files' names, sizes and times until one changes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import safe_open

from ..errors import Interrupted
from ..files.whole_files import write_whole
from .checkpoint import WEIGHT_FILES

FOLDER = "digests"
SAMPLED = 256  # values of each tensor
BLOCK = 1 << 26  # bytes hashed between calls of `on_bytes` and `should_stop`


class Fingerprints:
    """Fingerprints of weights, cached in a folder for unchanged files.

    Each is a file of its own, so that writers do not conflict, and a damaged one is recomputed.

    Args:
        folder: the cache; created if missing.
        should_stop: called while weights are read.
    """

    def __init__(self, folder: Path, should_stop: Callable[[], bool] = lambda: False) -> None:
        self.folder = folder / FOLDER
        self.should_stop = should_stop

    def checkpoint(self, folder: Path, on_bytes: Callable[[int, int], None]) -> list[str]:
        """The fingerprint of each part of a checkpoint.

        Args:
            on_bytes: called with the bytes read so far and their total; never if all are cached.

        Raises:
            GoTError: the cache cannot be written to.
            Interrupted: `should_stop` returned true.
        """
        parts = [folder / part for part in WEIGHT_FILES]
        total = sum(file.stat().st_size for part in parts if not self._known(part) for file in _files(part))
        done = 0

        def read(size: int) -> None:
            nonlocal done
            done += size
            on_bytes(done, total)

        return [self.weights(part, on_read=read) for part in parts]

    def weights(
        self, part: Path, inside: str = "", on_read: Callable[[int], None] = lambda size: None
    ) -> str:
        """The fingerprint of one part's tensors whose names contain `inside`; errors as `checkpoint`."""
        known = self._known(part, inside)
        if known:
            return known
        file = self._file(part, inside)

        def read(size: int) -> None:
            if self.should_stop():
                raise Interrupted("Reading the checkpoint's weights was interrupted.")
            on_read(size)

        digest = weights_digest(part, inside, read)
        if file == self._file(part, inside):  # the weights have not changed meanwhile
            write_whole(file, digest.encode())
        return digest

    def _known(self, part: Path, inside: str = "") -> str | None:
        try:
            digest = self._file(part, inside).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None
        return digest if re.fullmatch("[0-9a-f]{64}", digest) else None

    def _file(self, part: Path, inside: str) -> Path:
        stats = [(file.name, file.stat()) for file in _files(part)]
        files = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
        return (
            self.folder
            / hashlib.sha256(json.dumps([str(part.resolve()), inside, files]).encode()).hexdigest()
        )


def weights_digest(folder: Path, inside: str = "", on_read: Callable[[int], None] = lambda size: None) -> str:
    """SHA-256 over the tensors of a part's safetensors files whose names contain ``inside``."""
    total = hashlib.sha256()
    for file in _files(folder):
        with safe_open(str(file), framework="pt") as tensors:
            for name in sorted(tensors.keys()):
                if inside in name:
                    total.update(f"{name} {tensors.get_slice(name).get_dtype()}".encode())
                    for block in tensors.get_tensor(name).flatten().view(torch.uint8).split(BLOCK):
                        total.update(block.numpy())
                        on_read(len(block))
    return total.hexdigest()


def sampled_digest(folder: Path) -> str:
    """SHA-256 over the beginning of every tensor of a part: tells checkpoints apart, at once at any size."""
    total = hashlib.sha256()
    for file in _files(folder):
        with safe_open(str(file), framework="pt") as tensors:
            for name in sorted(tensors.keys()):
                part = tensors.get_slice(name)
                total.update(f"{name} {part.get_dtype()} {part.get_shape()}".encode())
                first = part[:1].flatten()[:SAMPLED].contiguous()
                total.update(first.view(torch.uint8).numpy())
    return total.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))
