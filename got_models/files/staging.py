"""Resumable writing of a folder: it grows as `<destination>.part`, and its manifest lists finished files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import GoTError
from .checksum import checksum
from .exclusive_lock import exclusive_lock
from .json_objects import read_json
from .whole_files import UnwritableError

UNFINISHED = ".part"  # suffix of a folder that is being written
MANIFEST = "manifest.json"
_UNFINISHED_MANIFEST = f"{MANIFEST}.part"


class Staging:
    """The unfinished checkpoint next to its destination.

    manifest.json: `made_from` (the source of the weights and the conversion), and `sha256` of each finished
    file. A file is finished if the manifest lists it and its checksum matches; a different `made_from`
    invalidates all.
    """

    def __init__(self, destination: Path, made_from: dict[str, Any]) -> None:
        self.destination = destination
        self.folder = staging_folder(destination)
        self.made_from = made_from
        self.sha256: dict[str, str] = {}

    def open(self) -> None:
        """Keep the files that an earlier import finished, and remove the rest.

        Raises:
            GoTError: a folder of that name exists that no import has created.
        """
        before = self._read()
        if before.get("made_from") == self.made_from:
            self.sha256 = before["sha256"]
        for file in [file for file in self.folder.rglob("*") if not file.is_dir()]:
            if file.relative_to(self.folder).as_posix() not in {*self.sha256, MANIFEST}:
                file.unlink()
        self._write()

    def is_finished(self, name: str, on_read: Callable[[int], None]) -> bool:
        """Whether an earlier import finished a file, and it has not changed since.

        Args:
            on_read: receives the number of bytes read so far; may raise to stop the import.
        """
        file = self.folder / name
        if name in self.sha256 and file.is_file() and checksum(file, on_read) == self.sha256[name]:
            return True
        self.sha256.pop(name, None)
        return False

    def finish(self, name: str, digest: str) -> None:
        """Record a file as finished."""
        self.sha256[name] = digest
        self._write()

    def publish(self) -> None:
        """Rename the folder to its destination; from here on it is a checkpoint."""
        for file in self.folder.rglob("*"):
            name = file.relative_to(self.folder).as_posix()
            if file.is_file() and name != MANIFEST and file.suffix != ".safetensors":
                self.sha256[name] = checksum(file)
        self._write()
        self.folder.rename(self.destination)

    def discard_if_empty(self) -> None:
        """Remove the folder unless it holds something that another run could resume."""
        if not self.sha256:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self) -> dict[str, Any]:
        file = self.folder / MANIFEST
        manifest = read_json(file) if file.is_file() else {}
        names = {file.name for file in self.folder.iterdir()}
        if not isinstance(manifest.get("sha256"), dict) and not names <= {_UNFINISHED_MANIFEST}:
            raise GoTError(
                f"{self.folder} is in the way: an import would grow there, but that folder is not from one."
                " Move it elsewhere, or choose another destination."
            )
        return manifest

    def _write(self) -> None:
        manifest = {"made_from": self.made_from, "sha256": dict(sorted(self.sha256.items()))}
        temporary = self.folder / _UNFINISHED_MANIFEST
        temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, self.folder / MANIFEST)


def is_imported(folder: Path, dtype: str) -> bool:
    """Whether an import with this dtype has created the folder."""
    if not (folder / MANIFEST).is_file():
        return False
    made_from = read_json(folder / MANIFEST).get("made_from")
    return isinstance(made_from, dict) and made_from.get("dtype") == dtype


def staging_folder(destination: Path) -> Path:
    return destination.with_name(destination.name + UNFINISHED)


def check_disk_space(destination: Path, needed: int) -> None:
    """
    Args:
        needed: bytes of the finished checkpoint; files of an earlier import count as free space.

    Raises:
        GoTError: the disk has less.
    """
    staging = staging_folder(destination)
    left = sum(file.stat().st_size for file in staging.rglob("*") if file.is_file())
    place = next(folder for folder in destination.absolute().parents if folder.exists())
    room = shutil.disk_usage(place).free + left
    if room < needed:
        raise GoTError(
            f"The checkpoint takes {needed / 1e9:.1f} GB, but the disk of {place} has only"
            f" {room / 1e9:.1f} GB free. Free some space, choose another destination, or a smaller dtype."
        )


@contextmanager
def open_staging(destination: Path, made_from: dict[str, Any]) -> Iterator[Staging]:
    """The opened staging folder of a destination, locked for this process.

    Raises:
        GoTError: another process imports into the same destination, or the folder's name is taken.
    """
    staging = Staging(destination, made_from)
    staging.folder.mkdir(parents=True, exist_ok=True)  # first, to find out whether the location is writable
    with ExitStack() as stack:
        lock = destination.with_name(f".got-import-{destination.name}.lock")
        stack.enter_context(exclusive_lock(f"import into {destination}", lock))
        if os.path.lexists(destination):  # another import finished while this one waited
            with suppress(OSError):  # not empty: an unrelated folder
                staging.folder.rmdir()
            raise GoTError(f"The destination {destination} exists already. Name a new folder.")
        staging.open()
        stack.callback(staging.discard_if_empty)
        try:
            yield staging
        except UnwritableError:
            raise
        except GoTError:  # the source is invalid: nothing of it is worth resuming
            staging.sha256.clear()
            raise
