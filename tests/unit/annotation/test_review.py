"""Reviewing doubtful rows: accepted, changed and rejected ones, each decision at once and once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from got_models.annotation import output
from got_models.annotation.output import LOCK_FILE, REJECTED_FILE, REVIEW_FILE, append
from got_models.annotation.review import review
from got_models.annotation.revision import revision
from got_models.annotation.run import annotate_folder
from got_models.dataset.rows import DATA_FILE, read_dataset
from got_models.errors import GoTError
from got_models.files.exclusive_lock import exclusive_lock
from got_models.files.whole_files import UnwritableError

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


def test_a_decision_is_made_once(folder: Path) -> None:
    with review(folder) as current:
        first = next(current.rows())
        current.accept(first)
        for decide in (current.accept, current.reject):
            with pytest.raises(GoTError, match="already"):
                decide(first)
    assert len(rows(folder / DATA_FILE)) == 1


def test_rows_of_the_same_pictures_are_decided_on_one_by_one(folder: Path) -> None:
    """A pair that is listed twice, with two instructions; the second time word for word as before."""
    pair = {"image": "b.png", "source": "a.png", "chain": CHAIN, "reasons": ["because"]}
    for prompt in ("one", "other", "other"):
        append(folder / REVIEW_FILE, [{**pair, "prompts": [prompt]}])
    with review(folder) as current:
        same = [row for row in current.rows() if row.image == "b.png"]
        assert [row.prompts for row in same] == [("do it", "do so"), ("one",), ("other",), ("other",)]
        current.accept(same[2])
    with review(folder) as current:
        same = [row for row in current.rows() if row.image == "b.png"]
        assert [row.prompts for row in same] == [("do it", "do so"), ("one",), ("other",)]
        for row in same:
            current.accept(row)
    with revision(folder) as current_rows:
        assert [row.prompts for row in current_rows.rows()] == [
            ("other",),
            ("do it", "do so"),
            ("one",),
            ("other",),
        ]


def test_a_doubtful_row_stays_where_data_has_another_of_the_same_picture(folder: Path) -> None:
    append(folder / DATA_FILE, [{"image": "a.png", "prompt": "mine", "chain": "A cup."}])
    with review(folder) as current:
        assert [row.image for row in current.rows()] == ["a.png", "b.png", "c.png"]
    assert len(rows(folder / REVIEW_FILE)) == 3


def test_a_full_disk_leaves_a_row_in_its_file_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: Path, block: bytes) -> None:
        raise UnwritableError(f"{file} cannot be written to: no space left.")

    before = (folder / REVIEW_FILE).read_bytes()
    with review(folder) as current:
        first = next(current.rows())
        with monkeypatch.context() as patched:
            patched.setattr(output, "_append", full)
            with pytest.raises(UnwritableError):
                current.accept(first)
        assert (folder / REVIEW_FILE).read_bytes() == before and not (folder / output.MOVE_FILE).exists()
        current.accept(first)
    assert len(rows(folder / DATA_FILE)) == 1 and len(rows(folder / REVIEW_FILE)) == 2


@pytest.mark.parametrize("note", ["", "7", '{"source": "../a", "target": "data.jsonl"}', '{"line": 0}', "{"])
def test_a_note_that_is_none_of_ours_moves_nothing(folder: Path, note: str) -> None:
    before = (folder / REVIEW_FILE).read_bytes()
    (folder / output.MOVE_FILE).write_text(note)
    with review(folder) as current:
        assert len(list(current.rows())) == 3
    assert (folder / REVIEW_FILE).read_bytes() == before and not (folder / output.MOVE_FILE).exists()


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
