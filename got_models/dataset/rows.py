"""The rows of a dataset folder. All are validated when the folder is read, and invalid ones are reported.

    data.jsonl     one JSON object per line: image, prompt, chain, and for an edit source
    ...            the pictures; `image` and `source` are paths below the folder

A chain may use any notation that `ReasoningChain.parse` accepts, and need not have a box.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..chain.chain import ReasoningChain
from ..errors import GoTError, short_repr
from ..files import text_files
from ..files.text_files import decoded
from ..mllm.prompts import check_prompt
from ..pictures import open_picture

DATA_FILE = "data.jsonl"
CACHE_FOLDER = ".got-cache"  # in the dataset folder, written by `encoding`
REQUIRED, OPTIONAL = ("image", "prompt", "chain"), ("source",)
MAX_ASPECT = 4.0
"""Long side over short side of a training picture; the aspect of the longest bucket."""
ASPECT_TOLERANCE = 1.05
"""The maximum ratio of the aspects of an edit's two pictures: both are resized to one size."""
MAX_INVALID_SHOWN = 10
MAX_DATA_FILE = 2_000_000_000  # bytes
_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Picture:
    """A picture file that opens. `digest`: SHA-256 of its bytes; `width`, `height` in pixels, upright."""

    path: Path
    digest: str
    width: int
    height: int


@dataclass(frozen=True)
class Row:
    """One example. `where` locates the row, such as "line 3"; `source` is set for edits only."""

    where: str
    chain: ReasoningChain
    image: Picture
    source: Picture | None


@dataclass(frozen=True)
class InvalidRow:
    """A row that cannot be used, and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """A snapshot of a dataset folder."""

    folder: Path
    rows: tuple[Row, ...]
    invalid: tuple[InvalidRow, ...]

    @cached_property
    def digest(self) -> str:
        """Depends on the pictures, prompts, chains and order of the valid rows, and on nothing else."""
        total = hashlib.sha256()
        for row in self.rows:
            source = row.source.digest if row.source else None
            content = [row.chain.task, row.chain.prompt, row.chain.text, row.image.digest, source]
            total.update(json.dumps(content).encode())
        return total.hexdigest()

    def report(self) -> str:
        """A summary for people.

        How many rows are valid, where each of the others is and why it is not, and what looks wrong in a
        chain, such as coordinates in an unsupported notation.
        """
        lines = [f"{len(self.rows)} of {len(self.rows) + len(self.invalid)} rows can be used."]
        lines += [f"{row.where}: warning: {text}" for row in self.rows for text in row.chain.warnings]
        return "\n".join(
            [*lines, *(f"{row.where}: {' '.join(row.reason.splitlines())}" for row in self.invalid)]
        )

    def usable(self, leave_out_bad_rows: bool) -> Dataset:
        """This dataset, if it can be trained on.

        Raises:
            GoTError: there is no valid row, or there are invalid ones that are not to be left out.
        """
        if not self.rows:
            raise GoTError(f"{self.folder} holds no row that can be used. {self._first_bad()}".rstrip())
        if self.invalid and not leave_out_bad_rows:
            raise GoTError(
                f"{len(self.invalid)} rows of {self.folder} cannot be used: fix them, or say "
                f"that bad rows are to be left out. {self._first_bad()}"
            )
        return self

    def _first_bad(self) -> str:
        shown = "; ".join(f"{row.where}: {row.reason}" for row in self.invalid[:MAX_INVALID_SHOWN])
        return shown + ("; ..." if len(self.invalid) > MAX_INVALID_SHOWN else "")


def read_dataset(folder: str | Path, on_row: Callable[[int], None] = lambda rows: None) -> Dataset:
    """Read `data.jsonl` of a folder, and every picture that it refers to.

    Args:
        on_row: receives after each row the number of rows read; may raise to stop reading.

    Raises:
        GoTError: there is no such folder or file. Problems of single rows are in the dataset's `bad`.
    """
    folder = Path(folder)
    rows: list[Row] = []
    invalid: list[InvalidRow] = []
    for where, values in read_lines(folder / DATA_FILE, strict=True):
        try:
            rows.append(check_row(where, values, folder))
        except GoTError as error:
            invalid.append(InvalidRow(where, str(error)))
        on_row(len(rows) + len(invalid))
    return Dataset(folder, tuple(rows), tuple(invalid))


def read_lines(
    file: Path, strict: bool = False, most_bytes: int = MAX_DATA_FILE
) -> Iterator[tuple[str, Any]]:
    """("line 3", value) for each non-blank line of a JSONL file; a GoTError where it is not JSON.

    Args:
        strict: reject NaN, which is not JSON.
        most_bytes: the maximum size of the file.

    Raises:
        GoTError: the file cannot be read, or is UTF-16 and damaged.
    """
    for number, line in enumerate(text_files.read_lines(file, most_bytes), start=1):
        if line.strip():
            yield f"line {number}", _json(line, strict)


def check_row(where: str, values: Any, folder: Path) -> Row:
    """The row described by a JSON object.

    Raises:
        GoTError: an entry is missing, unknown or of the wrong type, the prompt or the chain is invalid, or a
            picture is missing, damaged, too long, outside the folder, or does not match its source.
    """
    if isinstance(values, GoTError):
        raise values
    if not isinstance(values, dict):
        raise GoTError(f"Expected a JSON object, got {type(values).__name__}.")
    missing = [key for key in REQUIRED if key not in values]
    if missing:
        raise GoTError(f"The row lacks {' and '.join(missing)}.")
    unknown = sorted(values.keys() - {*REQUIRED, *OPTIONAL})
    if unknown:
        names = ", ".join((*REQUIRED, *OPTIONAL))
        raise GoTError(f"Unknown entry {short_repr(unknown[0])}: a row has {names}.")
    repeated = [value for value in values.values() if isinstance(value, GoTError)]
    if repeated:
        raise repeated[0]
    wrong = [key for key, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise GoTError(f"{wrong[0]!r} must be a string, got {short_repr(values[wrong[0]])}.")
    half = [key for key, value in values.items() if _SURROGATE.search(value)]
    if half:
        raise GoTError(f"{half[0]!r} holds half of a character, such as \\ud800. Write it again.")
    check_prompt(values["prompt"])
    if not values["chain"].strip():
        raise GoTError("The chain is empty: describe the picture, with or without boxes.")
    task = "edit" if "source" in values else "generate"
    chain = ReasoningChain.parse(values["chain"], task, values["prompt"])
    image = check_picture(folder, values["image"])
    source = check_picture(folder, values["source"]) if task == "edit" else None
    if source is not None:
        factor = image.width / image.height / (source.width / source.height)
        if not 1 / ASPECT_TOLERANCE <= factor <= ASPECT_TOLERANCE:
            raise GoTError(
                f"{values['source']} has {source.width} x {source.height} pixels and {values['image']} "
                f"{image.width} x {image.height}: an edit's two pictures must have the same shape."
            )
    return Row(where, chain, image, source)


def check_picture(folder: Path, name: str) -> Picture:
    """The picture of this name below the folder, decoded once to validate it.

    Raises:
        GoTError: it is outside the folder, cannot be opened, or is too long to train on.
    """
    path = find_picture(folder, name)
    picture = open_picture(path)
    if max(picture.size) > MAX_ASPECT * min(picture.size):
        raise GoTError(
            f"{name} has {picture.width} x {picture.height} pixels, but may be at most {MAX_ASPECT:g} "
            "times as long as it is wide. Crop it."
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Picture(path, digest, picture.width, picture.height)


def find_picture(folder: Path, name: str) -> Path:
    r"""The file of this name below the folder.

    A name may be written as on another system: with \ between folders, as on Windows, and with accents
    composed or decomposed, as file systems differ. A link inside the folder may lead out of it: the link was
    created by the folder's owner, which a row cannot do.

    Raises:
        GoTError: the name leads out of the folder, or there is no such file.
    """
    forms = dict.fromkeys((name, name.replace("\\", "/")))
    root = os.path.abspath(folder)
    for form in forms:
        inside = os.path.abspath(os.path.join(root, form)).startswith(root + os.sep)
        if "\0" in form or os.path.isabs(form) or _WINDOWS_DRIVE.match(form) or not inside:
            raise GoTError(f"{short_repr(name)} is outside the dataset's folder. Put the picture there.")
    for form in forms:
        path = _spelled_as_there(root, os.path.normpath(form))
        if os.path.isfile(path):
            return Path(path)
    raise GoTError(f"Expected a picture, cannot open {short_repr(name)}: there is no such file in {folder}.")


def _spelled_as_there(root: str, name: str) -> str:
    """The path of a name below root, with each part in the Unicode form of the existing file."""
    path = root
    for part in name.split(os.sep):
        spellings = (part, unicodedata.normalize("NFC", part), unicodedata.normalize("NFD", part))
        there = (spelling for spelling in spellings if os.path.lexists(os.path.join(path, spelling)))
        path = os.path.join(path, next(there, part))
    return path


def _json(line: bytes, strict: bool) -> Any:
    try:
        text = decoded(line, "The line")
        refuse = _refuse if strict else None
        return json.loads(text, object_pairs_hook=without_repetition, parse_constant=refuse)
    except GoTError as error:
        return error
    except (ValueError, RecursionError) as error:
        return GoTError(f"Not JSON: {error}.")


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any] | GoTError:
    """For `json.loads`: an object, or the error if a key is repeated."""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return GoTError(f"The entry {short_repr(twice)} appears twice.")
    return values


def _refuse(constant: str) -> None:
    raise GoTError(f"Not JSON: {constant} is not allowed in JSON.")
