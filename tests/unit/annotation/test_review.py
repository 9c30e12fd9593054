"""Reviewing doubtful rows: accepted, changed and rejected ones, each decision at once and once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from got_models.annotation.output import LOCK_FILE, REJECTED_FILE, REVIEW_FILE, append
from got_models.annotation.review import review
from got_models.annotation.run import annotate_folder
from got_models.dataset.rows import DATA_FILE, read_dataset
from got_models.errors import GoTError
from got_models.files.exclusive_lock import exclusive_lock

from .folders import rows
from .looking import Looking

CHAIN = "A red cup (100,200),(500,900) stands on a table."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three doubtful rows: a picture, a pair with two wordings, and a picture without a chain."""
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (64, 64), "white").save(tmp_path / name)
    doubt = {"reasons": ["because"]}
    append(tmp_path / REVIEW_FILE, [{"image": "a.png", "prompts": ["a cup"], "chain": CHAIN, **doubt}])
    pair = {"image": "b.png", "source": "a.png", "prompts": ["do it", "do so"], "chain": CHAIN, **doubt}
    append(tmp_path / REVIEW_FILE, [pair])
    append(tmp_path / REVIEW_FILE, [{"image": "c.png", **doubt}])
    return tmp_path


def test_accepting_changing_and_rejecting_moves_rows_where_they_belong(folder: Path) -> None:
    with review(folder) as current:
        one, two, three = current.rows()
        assert (one.prompts, one.reasons, three.chain) == (("a cup",), ("because",), "")
        current.accept(one)
        assert list(current.rows()) == [two, three]
        current.accept(two, prompts=["do it now", "do so"], chain="A cup (1,1),(500,500) changes.")
        current.reject(three)
        assert list(current.rows()) == []
    dataset = read_dataset(folder).usable(leave_out_bad_rows=False)
    assert [row.chain.prompt for row in dataset.rows] == ["a cup", "do it now", "do so"]
    assert rows(folder / REVIEW_FILE) == []
    assert [row["image"] for row in rows(folder / REJECTED_FILE)] == ["c.png"]


def test_a_rejected_picture_is_not_annotated_again(folder: Path) -> None:
    with review(folder) as current:
        for doubtful in list(current.rows()):
            current.reject(doubtful)
    assert annotate_folder(folder, Looking()).total == 1  # b.png alone: only as a pair was it rejected
    assert [(row["image"], "source" in row) for row in rows(folder / REVIEW_FILE)] == [("b.png", False)]


def test_a_decision_survives_a_kill_before_the_file_is_tidied_and_counts_once(folder: Path) -> None:
    content = (folder / REVIEW_FILE).read_bytes()
    with review(folder) as current:
        first = next(current.rows())
        current.accept(first)
        with pytest.raises(GoTError, match="already"):
            current.accept(first)
    (folder / REVIEW_FILE).write_bytes(content)  # as if it had been killed
    with review(folder) as current:
        assert [doubtful.image for doubtful in current.rows()] == ["b.png", "c.png"]
        with pytest.raises(GoTError, match="already"):
            current.reject(first)
    assert len(rows(folder / DATA_FILE)) == 1


def test_what_cannot_be_trained_on_is_refused_and_stays(folder: Path) -> None:
    with review(folder) as current:
        one, _, three = current.rows()
        for chain, prompts in (("a cup (5,5),(1,1)", None), ("", None), (None, []), (None, [" "])):
            with pytest.raises(GoTError):
                current.accept(one, chain=chain, prompts=prompts)
        with pytest.raises(GoTError, match="no prompt"):
            current.accept(three)
    assert len(rows(folder / REVIEW_FILE)) == 3 and not (folder / DATA_FILE).exists()


def test_one_process_at_a_time(folder: Path) -> None:
    with (
        exclusive_lock("annotation", folder / LOCK_FILE),
        pytest.raises(GoTError, match="Another"),
        review(folder),
    ):
        pass


def test_lines_that_are_no_rows_are_kept(folder: Path) -> None:
    with (folder / REVIEW_FILE).open("a") as file:
        file.write('{"note": "mine"}\nno JSON\n')
    with review(folder) as current:
        current.accept(next(current.rows()))
    assert (folder / REVIEW_FILE).read_text().splitlines()[2:] == ['{"note": "mine"}', "no JSON"]
