"""The rows of a dataset folder. Every one is checked when the folder is read, and bad ones are reported.

    data.jsonl     one JSON object per line: image, prompt, chain, and for an edit source
    ...            the pictures; `image` and `source` are paths below the folder

A chain may be written in any form that `ReasoningChain.parse` takes, and may hold no box at all.
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
from ..files.text_files import decoded, is_utf16, read_bytes
from ..mllm.prompts import check_prompt
from ..pictures import open_picture

DATA_FILE = "data.jsonl"
CACHE_FOLDER = ".got-cache"  # in the dataset folder, written by `encoding`
REQUIRED, OPTIONAL = ("image", "prompt", "chain"), ("source",)
MAX_ASPECT = 4.0
"""Long side over short side of a picture to train on; the longest bucket has just this."""
ASPECT_TOLERANCE = 1.05
"""By which factor the aspects of an edit's two pictures may differ: both are drawn at one size."""
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
    """One example. `where` says which row it is, such as "line 3"; `source` is there in edits only."""

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
    """A dataset folder as it was when it was read."""

    folder: Path
    rows: tuple[Row, ...]
    invalid: tuple[InvalidRow, ...]

    @cached_property
    def digest(self) -> str:
        """Changes with any picture, prompt, chain or the order of the usable rows, and with nothing else."""
        total = hashlib.sha256()
        for row in self.rows:
            source = row.source.digest if row.source else None
            content = [row.chain.task, row.chain.prompt, row.chain.text, row.image.digest, source]
            total.update(json.dumps(content).encode())
        return total.hexdigest()

    def report(self) -> str:
        """How many rows can be used, for each of the others where it stands and why not, and what looks wrong
        in a chain: coordinates in a notation that is not read, for instance."""
        lines = [f"{len(self.rows)} of {len(self.rows) + len(self.invalid)} rows can be used."]
        lines += [f"{row.where}: warning: {text}" for row in self.rows for text in row.chain.warnings]
        return "\n".join(
            [*lines, *(f"{row.where}: {' '.join(row.reason.splitlines())}" for row in self.invalid)]
        )

    def usable(self, leave_out_bad_rows: bool) -> Dataset:
        """This dataset, if it can be trained on.

        Raises:
            GoTError: there is no usable row, or there are bad ones and nobody has said to leave them out.
        """
        if not self.rows:
            raise GoTError(f"{self.folder} holds no row that can be used. {self._first_bad()}".rstrip())
        if self.invalid and not leave_out_bad_rows:
            raise GoTError(
                f"{len(self.invalid)} rows of {self.folder} cannot be used: mend them, or say "
                f"that bad rows are to be left out. {self._first_bad()}"
            )
        return self

    def _first_bad(self) -> str:
        shown = "; ".join(f"{row.where}: {row.reason}" for row in self.invalid[:MAX_INVALID_SHOWN])
        return shown + ("; ..." if len(self.invalid) > MAX_INVALID_SHOWN else "")


def read_dataset(folder: str | Path, on_row: Callable[[int], None] = lambda rows: None) -> Dataset:
    """Read `data.jsonl` of a folder, and every picture that it names.

    Args:
        on_row: told after each row how many have been read; what it raises ends the reading.

    Raises:
        GoTError: there is no such folder or file. What is wrong with single rows is in the dataset's `bad`.
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


def read_lines(file: Path, strict: bool = False) -> Iterator[tuple[str, Any]]:
    """("line 3", value) for each line of a JSONL file that is not blank; a GoTError where it is not JSON.

    Args:
        strict: take no NaN, which JSON does not know.

    Raises:
        GoTError: the file cannot be read, or is UTF-16 and damaged.
    """
    content = read_bytes(file, MAX_DATA_FILE)
    if is_utf16(content):
        content = decoded(content, str(file)).encode("utf-8", "surrogatepass")
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            yield f"line {number}", _json(line, strict)


def check_row(where: str, values: Any, folder: Path) -> Row:
    """The row that a JSON object means.

    Raises:
        GoTError: an entry is missing, unknown or of another type, the prompt or the chain cannot be used, or
            a picture is missing, damaged, too long, lies outside the folder, or does not fit its source.
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
    """The picture of this name below the folder, decoded once to be sure of it.

    Raises:
        GoTError: it lies outside the folder, cannot be opened, or is too long to train on.
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

    A name may be written as on another system: with \ between folders, as on Windows, and with accents in
    one character or in two, as file systems differ. A link inside the folder may lead out of it: whoever
    made the folder made the link, and a row cannot make one.

    Raises:
        GoTError: the name leads out of the folder, or there is no such file.
    """
    forms = dict.fromkeys((name, name.replace("\\", "/")))
    root = os.path.abspath(folder)
    for form in forms:
        inside = os.path.abspath(os.path.join(root, form)).startswith(root + os.sep)
        if "\0" in form or os.path.isabs(form) or _WINDOWS_DRIVE.match(form) or not inside:
            raise GoTError(f"{short_repr(name)} lies outside the dataset's folder. Put the picture there.")
    for form in forms:
        path = _spelled_as_there(root, os.path.normpath(form))
        if os.path.isfile(path):
            return Path(path)
    raise GoTError(f"Expected a picture, cannot open {short_repr(name)}: there is no such file in {folder}.")


def _spelled_as_there(root: str, name: str) -> str:
    """The path of a name below root, each part in the Unicode form in which it is there."""
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
    """For `json.loads`: an object; in the place of one in which a key stands twice, what is wrong with it."""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return GoTError(f"The entry {short_repr(twice)} stands twice.")
    return values


def _refuse(constant: str) -> None:
    raise GoTError(f"Not JSON: {constant} is no number there.")
