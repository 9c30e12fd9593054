"""Writing files so that they are there whole or not at all, and nothing is left of a writer that was killed.

What is being written grows in a hidden folder of ours, `.got-writing-*`, beside the file, and takes the
file's name at the end. A lock lies beside that folder. It is free once its writer is gone, and then the next
writer there removes what is left.
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
GLANCE = 0.01  # seconds for which another writer's lock is tried


class UnwritableError(GoTError):
    """A file or folder cannot be written to. What was to be written may be all right."""


@contextmanager
def workspace(folder: Path) -> Iterator[Path]:
    """A hidden folder of this writer's own in an existing folder, removed at the end.

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
    """Remove the workspaces of writers that were killed: those whose lock is free."""
    for lock in folder.glob(f"{PREFIX}*{LOCK}"):
        with suppress(GoTError, OSError), exclusive_lock("writer", lock, GLANCE):
            shutil.rmtree(lock.with_name(lock.name.removesuffix(LOCK)), ignore_errors=True)


@contextmanager
def whole_file(file: Path, within: Path | None = None) -> Iterator[Path]:
    """The path at which to write a file; at the end it replaces `file`. Missing folders are made.

    Args:
        within: the folder for the workspace, on the same disk; by default the file's.

    Raises:
        UnwritableError: the file cannot be written, because the disk is full for instance; the old one
            is untouched.
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
    """Around what does nothing but write into a place, by whatever library.

    Raises:
        UnwritableError: the place cannot be written to, because the disk is full for instance.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch reports a full disk as RuntimeError
        raise unwritable(place, error) from error


def write_whole(file: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        UnwritableError: as `whole_file`.
    """
    with whole_file(file) as beside:
        beside.write_bytes(content)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files (relative name -> content) under `folder`, or none; it is made if need be.

    Raises:
        UnwritableError: the folder cannot be written to; no old file is lost.
    """
    try:
        with workspace(_existing(folder)) as beside:
            for name, content in files.items():
                target = beside / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            for name in files:
                if (folder / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{name} is a folder there")
            for name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(beside / name, folder / name)
    except OSError as error:
        raise unwritable(folder, error) from error


def check_writable(folder: Path) -> None:
    """Find out before the work whether `folder` can be made and written to; leaves nothing behind.

    Raises:
        UnwritableError: a file stands in the way, or the place cannot be written to.
    """
    try:
        existing = _existing(folder)
        with workspace(existing) as beside:
            (beside / folder.absolute().relative_to(existing)).mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL or half a character
        raise unwritable(folder, error) from error


def _existing(folder: Path) -> Path:
    """The folder itself or its nearest parent that exists, as a file or a folder."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))


def unwritable(place: Path, error: Exception) -> UnwritableError:
    """What to tell a user whose file or folder could not be written."""
    reason = getattr(error, "strerror", None) or error
    advice = "Make room there, or choose another place."
    return UnwritableError(f"{place} cannot be written to: {reason}. {advice}")
