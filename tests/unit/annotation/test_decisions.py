"""Any sequence of decisions, by processes that may be killed: no row is lost, doubled or torn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from got_models.annotation import output
from got_models.annotation.output import REJECTED_FILE, REVIEW_FILE, append
from got_models.annotation.review import Review, review
from got_models.annotation.review_rows import ReviewRow
from got_models.annotation.revision import Revision, revision
from got_models.dataset.rows import DATA_FILE
from got_models.files import whole_files

from .folders import rows

CHAINS = ("A red cup.", "A blue cup (100,200),(500,900) stands on a table.")
PROMPTS = (("a cup",), ("the cup",), ("a cup", "the cup"), ("a cup", "a cup"))
Said = tuple[str, str, tuple[str, ...], str]
"""A row: image, source, prompts and chain."""

contents = st.tuples(
    st.just("a.png"), st.sampled_from(["", "b.png"]), st.sampled_from(PROMPTS), st.sampled_from(CHAINS)
)
decisions = st.tuples(
    st.sampled_from(["accept", "change", "reject"]),
    st.booleans(),  # a doubtful row, or an accepted one
    st.integers(0, 99),
    st.sampled_from(CHAINS),
    st.sampled_from(PROMPTS),
    st.sampled_from([None, None, "note", "append", "torn", "replace"]),
)


class Killed(BaseException):
    """Stands for the end of the process."""


def said(row: ReviewRow) -> Said:
    return row.image, row.source or "", row.prompts, row.chain


def names(row: Said) -> dict[str, str]:
    return {"image": row[0]} | ({"source": row[1]} if row[1] else {})


def fill(folder: Path, accepted: list[Said], doubtful: list[Said]) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8), "white").save(folder / name)
    for row in accepted:
        append(folder / DATA_FILE, [{**names(row), "prompt": prompt, "chain": row[3]} for prompt in row[2]])
    for row in doubtful:
        append(folder / REVIEW_FILE, [{**names(row), "prompts": [*row[2]], "chain": row[3], "reasons": []}])


@contextmanager
def killed(at: str | None) -> Iterator[None]:
    """Within this context the process ends: before its note is written, or before or in the middle of what is
    appended, or before the other file is replaced."""
    replace, write = os.replace, output._append

    def replacing(source: Path, target: Path) -> None:
        if (target.name == output.MOVE_FILE) == (at == "note"):
            raise Killed
        replace(source, target)

    def appending(file: Path, block: bytes) -> None:
        if at == "torn":
            write(file, block[: len(block) // 2])
        raise Killed

    with pytest.MonkeyPatch.context() as patched:
        if at in ("note", "replace"):
            patched.setattr(whole_files.os, "replace", replacing)
        elif at:
            patched.setattr(output, "_append", appending)
        yield


@given(st.lists(contents, max_size=4), st.lists(contents, max_size=4), st.lists(decisions, max_size=8))
@settings(max_examples=40, deadline=None)
def test_no_sequence_of_decisions_loses_doubles_or_tears_a_row(
    accepted: list[Said], doubtful: list[Said], sequence: list[Any]
) -> None:
    rejected: list[Said] = []
    with TemporaryDirectory() as place:
        folder = Path(place)
        fill(folder, accepted, doubtful)
        for what, of_doubtful, number, chain, prompts, end in sequence:
            mine = doubtful if of_doubtful else accepted
            if not mine:
                continue
            index = number % len(mine)
            was = mine[index]
            new = (*was[:2], prompts, chain) if what == "change" else was
            try:
                with killed(end), review(folder) if of_doubtful else revision(folder) as current:
                    decide(current, index, what, new)
                happened = True
            except Killed:
                happened = end == "replace" and (of_doubtful or what == "reject")
            if happened:
                if of_doubtful or what == "reject":
                    mine.pop(index)
                    (rejected if what == "reject" else accepted).append(new)
                else:
                    mine[index] = new
            check(folder, accepted, doubtful, rejected)


def decide(current: Review | Revision, index: int, what: str, new: Said) -> None:
    row = list(current.rows())[index]
    if what == "reject":
        current.reject(row)
    elif what == "change":
        current.accept(row, chain=new[3], prompts=new[2])
    else:
        current.accept(row)


def check(folder: Path, accepted: list[Said], doubtful: list[Said], rejected: list[Said]) -> None:
    with review(folder) as current:
        assert [said(row) for row in current.rows()] == doubtful
    with revision(folder) as of_data:
        assert [said(row) for row in of_data.rows()] == accepted
    found = [
        (row["image"], row.get("source", ""), tuple(row["prompts"]), row["chain"])
        for row in rows(folder / REJECTED_FILE)
    ]
    assert found == rejected
    lines = [
        (row["image"], row.get("source", ""), row["prompt"], row["chain"]) for row in rows(folder / DATA_FILE)
    ]
    assert lines == [(row[0], row[1], prompt, row[3]) for row in accepted for prompt in row[2]]
