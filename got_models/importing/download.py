"""Downloading the published folders from huggingface.co, or from the mirror in HF_ENDPOINT."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers

from ..errors import GoTError
from ..files.checksum import checksum
from ..files.exclusive_lock import exclusive_lock
from .folders import REPOSITORIES, Repository, download_instructions

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RemoteFile:
    """A file to download. `size` in bytes; `sha256` is known for large files only."""

    repository: str
    name: str
    target: Path
    size: int
    sha256: str | None

    @property
    def part(self) -> Path:
        """The temporary file for an incomplete download."""
        return self.target.with_name(f".got-download-{self.target.name}")

    @property
    def received(self) -> int:
        """How many bytes of it have been downloaded."""
        file = self.target if self.target.is_file() else self.part
        return min(self.size, file.stat().st_size) if file.is_file() else 0


def download(folder: Path, on_progress: Progress | None = None) -> None:
    """Download into `folder` what it lacks of the three published folders, resuming interrupted downloads.

    Args:
        on_progress: called as bytes arrive, with the bytes downloaded and the total; may raise to stop the
            download.

    Raises:
        GoTError: no network, not enough space, or a damaged file; the message says what to do by hand.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(f"download into {folder}", folder / ".got-download.lock"):
            files = [file for name in REPOSITORIES for file in _list_files(folder / name, REPOSITORIES[name])]
            _check_disk_space(folder, files)
            total, done = sum(file.size for file in files), 0

            def report(size: int) -> None:
                if on_progress:
                    on_progress(done + size, total)

            for file in files:
                if not file.target.is_file():
                    _fetch(file, report)
                report(file.size)
                done += file.size
    except OSError as error:
        raise GoTError(
            f"The download into {folder} cannot be written: {error.strerror or error}. Free some disk space"
            " and run again: it resumes where it stopped."
        ) from error


def _list_files(folder: Path, repository: Repository) -> list[RemoteFile]:
    """The files of a repository that an import needs, as listed by the hub."""
    patterns = [re.escape(name).replace(r"\*", "[0-9a-z-]+") for name in repository.files]
    wanted = re.compile("|".join(patterns))
    with _network_errors(repository.name):
        entries = [
            entry
            for entry in HfApi().list_repo_tree(repository.name, recursive=True)
            if isinstance(entry, RepoFile) and wanted.fullmatch(entry.path)
        ]
    return [
        RemoteFile(
            repository.name,
            entry.path,
            folder / entry.path,
            entry.size,
            entry.lfs.sha256 if entry.lfs else None,
        )
        for entry in entries
    ]


def _check_disk_space(folder: Path, files: list[RemoteFile]) -> None:
    needed = sum(file.size - file.received for file in files)
    room = shutil.disk_usage(folder).free
    if room < needed:
        raise GoTError(
            f"The download takes {needed / 1e9:.1f} GB, but the disk of {folder} has only"
            f" {room / 1e9:.1f} GB free. Free some space, or choose a folder on another disk."
        )


def _fetch(file: RemoteFile, on_size: Callable[[int], None]) -> None:
    """Download one file, resuming it; a small one, whose checksum is unknown, is restarted."""
    file.part.parent.mkdir(parents=True, exist_ok=True)
    if file.sha256 is None or (file.part.is_file() and file.part.stat().st_size > file.size):
        file.part.unlink(missing_ok=True)
    with _GrowingFile(file.part, on_size) as part, _network_errors(file.repository, part):
        url, headers = hf_hub_url(file.repository, file.name), build_hf_headers()
        http_get(url, part, resume_size=part.tell(), headers=headers, expected_size=file.size)
    if file.sha256 is not None and checksum(file.part, lambda done: on_size(file.size)) != file.sha256:
        file.part.unlink()
        raise GoTError(f"{file.target} arrived damaged and was removed. Run again to fetch it once more.")
    os.replace(file.part, file.target)


class _GrowingFile(io.BufferedWriter):
    """A file opened for appending that reports its size after each write."""

    def __init__(self, path: Path, on_size: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(path, "a"))
        self.on_size = on_size
        self.raised: BaseException | None = None

    def write(self, content: Any) -> int:
        try:
            written = super().write(content)
            self.on_size(self.tell())
        except BaseException as error:
            self.raised = error
            raise
        return written


@contextmanager
def _network_errors(repository: str, part: _GrowingFile | None = None) -> Iterator[None]:
    """Turns all network errors, which vary with the hub's version, into one message.

    Errors raised through `part`, because the disk is full or the user wants to stop, are passed on.
    """
    try:
        yield
    except Exception as error:
        if part is not None and part.raised is error:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise GoTError(
            f"{repository} cannot be downloaded from {constants.ENDPOINT}: {reason}. Check the network (the"
            " environment variable HF_ENDPOINT may name a mirror) and run again: it resumes where it stopped."
            f" Or put the files there by hand. {download_instructions()}"
        ) from error
