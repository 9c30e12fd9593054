"""Atomic writing of files, with nothing left behind by a writer that was killed.

A file is written in a hidden workspace folder, `.got-writing-*`, in the same folder, and renamed to its final
name at the end. Each workspace has a lock file next to it. The lock is released when its writer ends, and the
next writer in that folder removes what it left.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from ..errors import GoTError
from .exclusive_lock import exclusive_lock

PREFIX, LOCK = ".got-writing-", ".lock"
TRY_SECONDS = 0.01  # seconds to wait for another writer's lock


class UnwritableError(GoTError):
    """A file or folder cannot be written to. The content itself may be fine."""


@contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A hidden folder for this writer in an existing folder, removed at the end.

    Raises:
        OSError: the folder cannot be written to.
    """
    _clear_leftovers(folder)
    own = folder / f"{PREFIX}{secrets.token_hex(8)}"
    with exclusive_lock("writer", own.with_name(own.name + LOCK)):
        own.mkdir()
        try:
            yield own
        finally:
            shutil.rmtree(own, ignore_errors=True)


def _clear_leftovers(folder: Path) -> None:
    """Remove the workspaces of killed writers: those whose lock is free."""
    for lock in folder.glob(f"{PREFIX}*{LOCK}"):
        with suppress(GoTError, OSError), exclusive_lock("writer", lock, TRY_SECONDS):
            shutil.rmtree(lock.with_name(lock.name.removesuffix(LOCK)), ignore_errors=True)


@contextmanager
def whole_file(file: Path, within: Path | None = None) -> Iterator[Path]:
    """The path at which to write a file; at the end it replaces `file`. Missing folders are created.

    Args:
        within: the folder for the workspace, on the same disk; by default the file's.

    Raises:
        UnwritableError: the file cannot be written, for instance because the disk is full; the old one is
            untouched.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with workspace(within or file.parent) as folder:
            yield folder / file.name
            os.replace(folder / file.name, file)
    except (OSError, SafetensorError) as error:
        raise unwritable(file, error) from error


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Context for code that only writes into a place, with whatever library.

    Raises:
        UnwritableError: the place cannot be written to, for instance because the disk is full.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch reports a full disk as RuntimeError
        raise unwritable(place, error) from error


def write_whole(file: Path, content: bytes) -> None:
    """Write a file atomically.

    Raises:
        UnwritableError: as `whole_file`.
    """
    with whole_file(file) as temporary:
        temporary.write_bytes(content)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files (relative name -> content) under `folder`, or none; the folder is created if missing.

    Raises:
        UnwritableError: the folder cannot be written to; existing files are kept.
    """
    try:
        with workspace(_existing(folder)) as temporary:
            for name, content in files.items():
                target = temporary / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            for name in files:
                if (folder / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{name} is a folder there")
            for name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(temporary / name, folder / name)
    except OSError as error:
        raise unwritable(folder, error) from error


def check_writable(folder: Path) -> None:
    """Check before the work whether `folder` can be created and written to; leaves nothing behind.

    Raises:
        UnwritableError: a file has its name, or the location is not writable.
    """
    try:
        existing = _existing(folder)
        with workspace(existing) as temporary:
            (temporary / folder.absolute().relative_to(existing)).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL or a lone surrogate
        raise unwritable(folder, error) from error


def _existing(folder: Path) -> Path:
    """The folder itself or its nearest existing parent, be it a file or a folder."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))


def unwritable(place: Path, error: Exception) -> UnwritableError:
    """The error for a file or folder that could not be written."""
    reason = getattr(error, "strerror", None) or error
    advice = "Free some disk space, or choose another location."
    return UnwritableError(f"{place} cannot be written to: {reason}. {advice}")
