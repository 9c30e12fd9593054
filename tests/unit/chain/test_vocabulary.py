"""What a checkpoint knows stands in its got.json, checked like everything there; most say nothing of it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from got_models.commands.options import BUNDLED_CHECKPOINT
from got_models.errors import GoTError
from got_models.weights.checkpoint import read_settings, write_settings

BUNDLED = read_settings(BUNDLED_CHECKPOINT)
GIVEN = json.loads((BUNDLED_CHECKPOINT / "got.json").read_text(encoding="utf-8"))["vocabulary"]
GONE = object()


def damaged(entry: str, value: Any, inside: str | None = None) -> Any:
    vocabulary = copy.deepcopy(GIVEN)
    place = vocabulary[inside] if inside else vocabulary
    if value is GONE:
        del place[entry]
    else:
        place[entry] = value
    return vocabulary


DAMAGED = [
    *((value, "'vocabulary' must hold exactly") for value in (None, [], "all", {}, 7)),
    (damaged("words", GONE), "'vocabulary' must hold exactly"),
    (damaged("run", "rm"), "'vocabulary' must hold exactly"),
    *(
        (damaged("words", value), "'words' must be a list")
        for value in (None, "a b", [7], ["A"], ["a b"], [""])
    ),
    *((damaged("words", [value]), "'words'") for value in ("<b>", "a\x1b", "\ud800", "a" * 41, "a1")),
    (damaged("words", ["a"] * 5000), "'words'"),
    (damaged("objects", []), "'objects'"),
    *(
        (damaged("name", value), "'name' must be a name")
        for value in (None, "tiny", {}, {"zh": "x"}, {"en": ""})
    ),
    *((damaged("name", {"en": value}), "'name'") for value in (7, "a" * 61, "a\x1b[0m", "\u202e")),
    (damaged("name", {"en": "x", "../../x": "y"}), "'name'"),
    *((damaged("most_objects", value), "'most_objects'") for value in (0, True, 1e9, "4")),
    (damaged("edits_need_boxes", 1), "'edits_need_boxes' must be true or false"),
    (damaged("pictures", []), "'pictures' must hold exactly"),
    (damaged("share", GONE, "pictures"), "'pictures' must hold exactly"),
    *((damaged("share", value, "pictures"), "'share'") for value in (-1, 2, "0.5", True)),
    *(
        (damaged("colors", value, "pictures"), "'colors'")
        for value in ([], ["red"], ["#FFFFFF"], [[1, 2, 3]], "#000000")
    ),
    (damaged("reach", 1e6, "pictures"), "'reach'"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_settings(tmp_path, BUNDLED)
    return tmp_path


def test_it_survives_writing_and_reading(folder: Path) -> None:
    assert read_settings(folder) == BUNDLED
    assert BUNDLED.vocabulary is not None


def test_a_checkpoint_without_one_is_as_it_always_was(folder: Path) -> None:
    write_settings(folder, replace(BUNDLED, vocabulary=None))
    assert "vocabulary" not in json.loads((folder / "got.json").read_text(encoding="utf-8"))
    assert read_settings(folder).vocabulary is None


@pytest.mark.parametrize(("vocabulary", "message"), DAMAGED, ids=range(len(DAMAGED)))
def test_one_that_cannot_be_used_is_refused_by_name(folder: Path, vocabulary: Any, message: str) -> None:
    values = json.loads((folder / "got.json").read_text(encoding="utf-8"))
    (folder / "got.json").write_text(json.dumps({**values, "vocabulary": vocabulary}), encoding="utf-8")
    with pytest.raises(GoTError, match=message) as refusal:
        read_settings(folder)
    assert "got.json" in str(refusal.value)
