"""Reviewing what is accepted: rows of data.jsonl are changed and rejected, and no other is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from got_models.annotation.output import LOCK_FILE, REJECTED_FILE, append
from got_models.annotation.revision import revision
from got_models.dataset.rows import DATA_FILE
from got_models.errors import GoTError
from got_models.files.exclusive_lock import exclusive_lock

from .folders import rows

CHAIN = "A red cup (100,200),(500,900) stands on a table."


def pair(*prompts: str, chain: str = CHAIN) -> list[dict[str, str]]:
    return [{"image": "b.png", "source": "a.png", "prompt": prompt, "chain": chain} for prompt in prompts]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture, a note, and a pair with three wordings, as an annotation has written it."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 64), "white").save(tmp_path / name)
    append(tmp_path / DATA_FILE, [{"image": "a.png", "prompt": "a cup", "chain": CHAIN}])
    with (tmp_path / DATA_FILE).open("a") as file:
        file.write('{"image": "a.png", "prompt": "mine", "chain": "A cup.", "note": "mine"}\nno JSON\n')
    append(tmp_path / DATA_FILE, pair("do it", "do so", "go on"))
    return tmp_path


def test_the_wordings_of_one_plan_are_one_row_and_lines_that_are_no_rows_are_none(folder: Path) -> None:
    with revision(folder) as current:
        assert [(row.image, row.prompts) for row in current.rows()] == [
            ("a.png", ("a cup",)),
            ("b.png", ("do it", "do so", "go on")),
        ]


def test_a_row_is_changed_in_its_place_and_every_other_line_stays(folder: Path) -> None:
    before = (folder / DATA_FILE).read_text().splitlines()
    with revision(folder) as current:
        first, second = current.rows()
        assert current.accept(first) == first
        now = current.accept(first, chain="A blue cup (1,2),(500,900).", prompts=["a blue cup", "the cup"])
        assert list(current.rows()) == [now, second] and now.prompts == ("a blue cup", "the cup")
    after = (folder / DATA_FILE).read_text().splitlines()
    assert [json.loads(line)["prompt"] for line in after[:2]] == ["a blue cup", "the cup"]
    assert [line.strip() for line in after[2:]] == [line.strip() for line in before[1:]]


def test_a_rejected_row_goes_with_all_its_wordings(folder: Path) -> None:
    with revision(folder) as current:
        *_, last = current.rows()
        current.reject(last)
        with pytest.raises(GoTError, match="no longer"):
            current.reject(last)
    assert len((folder / DATA_FILE).read_text().splitlines()) == 3
    (rejected,) = rows(folder / REJECTED_FILE)
    assert rejected["prompts"] == ["do it", "do so", "go on"] and rejected["source"] == "a.png"


def test_what_is_left_of_an_item_is_not_taken_for_cut_off(folder: Path) -> None:
    """The last wording has a plan of its own: without it the others must not look like a killed writer's."""
    lines = (folder / DATA_FILE).read_text().splitlines()
    lines[-1] = json.dumps(pair("go on", chain="A cup.")[0])
    (folder / DATA_FILE).write_text("\n".join(lines) + "\n")
    with revision(folder) as current:
        *_, last = current.rows()
        assert last.prompts == ("go on",)
        current.reject(last)
    with revision(folder) as current:
        assert [row.prompts for row in current.rows()][-1] == ("do it", "do so")


def test_what_cannot_be_trained_on_or_has_changed_meanwhile_is_refused(folder: Path) -> None:
    content = (folder / DATA_FILE).read_bytes()
    with revision(folder) as current:
        first, second = current.rows()
        for chain, prompts in (("a cup (5,5),(1,1)", None), ("", None), (None, []), (None, [" "])):
            with pytest.raises(GoTError):
                current.accept(first, chain=chain, prompts=prompts)
        assert (folder / DATA_FILE).read_bytes() == content
        current.accept(first, chain="A cup.")
        with pytest.raises(GoTError, match="no longer"):
            current.accept(first, chain="Another cup.")
        assert second in current.rows()


def test_a_row_that_is_changed_into_its_neighbour_stays_a_row_of_its_own(folder: Path) -> None:
    """Also a row without neighbour: one between two of the same plan is rejected."""
    for number in range(3):
        append(folder / DATA_FILE, [{"image": "a.png", "prompt": f"{number}", "chain": f"Cup {number % 2}."}])
    with revision(folder) as current:
        first, _, zero, one, two = current.rows()
        new = current.accept(zero, chain="Cup 1.")
        assert list(current.rows())[2:] == [new, one, two]
        current.reject(one)
        now = current.accept(new, chain="Cup 0.")
        assert list(current.rows())[2:] == [now, two] and current.accept(two) == two
        last = current.accept(now, prompts=["one", "other"])
        assert list(current.rows())[2:] == [last, two]
    append(folder / DATA_FILE, [{"image": "a.png", "prompt": "three", "chain": "Cup 0."}])
    with revision(folder) as current:
        assert [row.prompts for row in current.rows()][2:] == [("one", "other"), ("2",), ("three",)]
        assert next(current.rows()) == first
    lines = (folder / DATA_FILE).read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines if line != "no JSON")


def test_wordings_that_a_person_has_written_below_each_other_are_one_row(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in pair("do it", "do so")]
    (tmp_path / DATA_FILE).write_text("\n".join(lines) + "\n")
    with revision(tmp_path) as current:
        (row,) = current.rows()
    assert row.prompts == ("do it", "do so")


def test_one_process_at_a_time(folder: Path) -> None:
    lock = exclusive_lock("annotation", folder / LOCK_FILE)
    with lock, pytest.raises(GoTError, match="Another"), revision(folder):
        pass
