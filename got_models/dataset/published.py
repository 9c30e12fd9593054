"""Importing published datasets: JSON, JSONL, parquet or COCO rows become `data.jsonl`.

The pictures are not moved: `data.jsonl` is written into the folder that the rows' paths are relative to.
Chains are model output, with several notations for boxes, so they are parsed leniently: fixes are reported,
and so is every row that is skipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..chain.chain import ReasoningChain
from ..errors import GoTError, short_repr
from ..files.exclusive_lock import exclusive_lock
from ..files.linked_files import files_below
from ..files.text_files import read_text
from ..files.whole_files import unwritable, whole_file
from .bundled import check_not_bundled
from .coco import coco_rows, is_coco
from .coordinates import with_coordinates
from .rows import DATA_FILE, MAX_DATA_FILE, InvalidRow, check_row, read_lines, without_repetition

FIELDS = {
    "prompt": ("instruction", "edit_instruction", "prompt", "caption", "edited_prompt_list", "text"),
    "chain": ("chain", "got", "got_text", "reasoning", "reasoning_chain", "cot"),
    "image": (
        "image",
        "image_path",
        "target",
        "target_image",
        "edited_image",
        "edited_img",
        "output_image",
        "path",
    ),
    "source": (
        "source",
        "source_image",
        "src_image",
        "src_img",
        "input_image",
        "original_image",
        "source_path",
    ),
    "coord": ("coord",),
}
"""The names of each entry in published rows, in order of preference; case is ignored."""

LOCK_FILE = ".got-import.lock"
SUFFIXES = (".json", ".jsonl", ".parquet")


@dataclass(frozen=True)
class ImportReport:
    """The result of an import.

    How many rows were written; what was fixed in their chains, and what was kept although it looks odd; which
    have no box, though their text may have had one; and which rows were skipped, each with the reason.
    """

    written: int
    fixed: tuple[InvalidRow, ...]
    odd: tuple[InvalidRow, ...]
    without_boxes: tuple[InvalidRow, ...]
    invalid: tuple[InvalidRow, ...]

    def text(self) -> str:
        """The report for people: one line per row that was fixed or skipped."""
        lines = [
            f"{self.written} rows written, {len(self.fixed)} of them fixed; {len(self.invalid)} left out."
        ]
        lines += [f"{row.where}: fixed: {row.reason}" for row in self.fixed]
        lines += [f"{row.where}: warning: {row.reason}" for row in self.odd]
        lines += [f"{row.where}: has no box: {row.reason}" for row in self.without_boxes]
        lines += [f"{row.where}: left out: {row.reason}" for row in self.invalid]
        return "\n".join(lines)


def import_dataset(source: Path, folder: Path, fields: Mapping[str, str] | None = None) -> ImportReport:
    """Write `data.jsonl` into `folder` from published rows.

    Args:
        source: a .json (a list of rows, or COCO's boxes), .jsonl or .parquet file, or a folder of them.
        folder: the folder that the paths in the rows are relative to.
        fields: our name of an entry -> its name in the rows, where `FIELDS` does not list it.

    Raises:
        GoTError: no such file or folder, no rows in it, an existing `data.jsonl`, another import into the
            folder, parquet without pyarrow, or a folder that is bundled or cannot be written to.
    """
    target = folder / DATA_FILE
    if not os.path.isdir(folder):
        raise GoTError(
            f"There is no folder {folder}: give the one that the paths in the rows are relative to."
        )
    check_not_bundled(target)
    names = {key: (fields[key],) if fields and key in fields else FIELDS[key] for key in FIELDS}
    try:
        with exclusive_lock(f"import into {folder}", folder / LOCK_FILE):
            if target.exists():
                raise GoTError(f"{target} exists already. Move it away first; nothing was written.")
            return _write(read_rows(source), source, names, target)
    except OSError as error:
        raise unwritable(folder, error) from error


def _write(
    rows: Iterable[tuple[str, Any]], source: Path, names: Mapping[str, tuple[str, ...]], target: Path
) -> ImportReport:
    written = 0
    fixed: list[InvalidRow] = []
    odd: list[InvalidRow] = []
    without_boxes: list[InvalidRow] = []
    invalid: list[InvalidRow] = []
    with whole_file(target) as temporary, temporary.open("w", encoding="utf-8") as file:
        for where, values in rows:
            try:
                for row, warnings in convert(values, names):
                    chain = check_row(where, row, target.parent).chain
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    written += 1
                    fixed += [InvalidRow(where, text) for text in warnings if text not in chain.warnings]
                    odd += [InvalidRow(where, text) for text in chain.warnings]
                    if not chain.regions:
                        without_boxes.append(InvalidRow(where, short_repr(chain.text)))
            except GoTError as error:
                invalid.append(InvalidRow(where, str(error)))
        report = ImportReport(written, tuple(fixed), tuple(odd), tuple(without_boxes), tuple(invalid))
        if not written:
            raise GoTError(f"{source} gave no row that can be used. {report.text()}")
    return report


def convert(
    values: Any, names: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[dict[str, str], tuple[str, ...]]]:
    """A published row as rows of ours, one for each wording of its prompt, with what was fixed.

    Raises:
        GoTError: the row is not an object, or has no prompt, chain or picture under any known name.
    """
    if isinstance(values, GoTError):
        raise values
    if not isinstance(values, dict):
        raise GoTError(f"Expected an object, got {type(values).__name__}.")
    lower = {str(key).lower(): value for key, value in values.items() if _is_given(value)}
    found = {
        key: next((lower[name.lower()] for name in names[key] if name.lower() in lower), None)
        for key in names
    }
    coord = found.pop("coord")
    for key in ("prompt", "chain", "image"):
        if found[key] is None:
            raise GoTError(
                f"No {key} under any of the names {', '.join(names[key])}; the row has "
                f"{short_repr(list(values), 200)}. Say which with --field {key}=NAME."
            )
    if isinstance(found["image"], dict):
        raise GoTError("The picture is embedded in the row; save it as a file and give its path.")
    prompts = found["prompt"] if isinstance(found["prompt"], list) else [found["prompt"]]
    for prompt in prompts:
        row = {key: value for key, value in found.items() if value is not None} | {"prompt": prompt}
        wrong = [key for key, value in row.items() if not isinstance(value, str)]
        if wrong:
            raise GoTError(f"The {wrong[0]} must be text, got {short_repr(row[wrong[0]])}.")
        task = "edit" if "source" in row else "generate"
        text, fixed = with_coordinates(str(row["chain"]), coord) if coord else (str(row["chain"]), ())
        chain = ReasoningChain.read(text, task, str(prompt), expects_colors=False)
        yield row | {"chain": chain.text}, (*fixed, *chain.warnings)


def _is_given(value: Any) -> bool:
    """Whether a row has a value: tables represent missing ones as null or NaN."""
    return bool(value) and value == value


def read_rows(source: Path) -> Iterator[tuple[str, Any]]:
    """(where, row) for every row of a file, or of all files of a folder sorted by name.

    Raises:
        GoTError: no such file, one that is not JSON, or parquet without pyarrow.
    """
    if os.path.isdir(source):
        files = [file for file in files_below(source) if file.suffix.lower() in SUFFIXES]
        for file in files:
            yield from ((f"{file.relative_to(source)} {where}", row) for where, row in read_rows(file))
    elif source.suffix.lower() == ".jsonl":
        yield from read_lines(source)
    elif source.suffix.lower() == ".json":
        yield from _read_json(source)
    elif source.suffix.lower() == ".parquet":
        yield from _read_parquet(source)
    else:
        raise GoTError(f"Expected a file that ends in {', '.join(SUFFIXES)}, or a folder, got {source}.")


def _read_json(file: Path) -> Iterator[tuple[str, Any]]:
    text = read_text(file, MAX_DATA_FILE)
    try:
        rows = json.loads(text, object_pairs_hook=without_repetition)
    except (ValueError, RecursionError) as error:
        raise GoTError(f"{file} is not JSON: {error}.") from error
    if isinstance(rows, GoTError):
        raise rows
    if is_coco(rows):
        yield from coco_rows(rows)
        return
    if not isinstance(rows, list):
        raise GoTError(
            f"{file} must hold a list of rows, or boxes as COCO has them, got {type(rows).__name__}."
        )
    for number, row in enumerate(rows, start=1):
        yield f"row {number}", row


def _read_parquet(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise GoTError(
            f"Reading {file} needs pyarrow, which is not installed: pip install pyarrow, or give JSONL."
        ) from error
    number = 0
    try:
        for batch in ParquetFile(file).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", row
    except (OSError, ArrowException) as error:
        raise GoTError(f"{file} cannot be read as parquet: {error}") from error
