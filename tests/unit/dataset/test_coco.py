"""Boxes as COCO has them: the same boxes and words out and in, and what a labelling tool changes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from got_models.chain.chain import Box, ReasoningChain
from got_models.chain.notation import box_markup, free_colors, marked
from got_models.dataset.coco import coco_rows, export_coco
from got_models.dataset.published import import_dataset
from got_models.dataset.rows import DATA_FILE, read_dataset

from .folders import CANONICAL, EDIT, GOOD, run, write_rows

edges = st.lists(st.integers(0, 999), min_size=2, max_size=2, unique=True).map(sorted)
boxes = st.tuples(edges, edges).map(lambda both: Box(both[0][0], both[1][0], both[0][1], both[1][1]))
phrases = st.sampled_from(
    ["a red cup", "the old man's hat", "two dogs", "\u4e00\u53ea\u732b", "dogs, cats", "Caf\u00e9 sign"]
)


def chain_of(parts: list[tuple[str, Box]]) -> str:
    colors = free_colors([])
    return " and ".join(
        f"{marked(phrase)} {box_markup(box, color)}"
        for (phrase, box), color in zip(parts, colors, strict=False)
    )


def there_and_back(folder: Path, forget: bool = False) -> list[ReasoningChain]:
    """The chains of a dataset after an export and an import; `forget`: a tool has kept only COCO's own."""
    file = folder / "coco.json"
    export_coco(read_dataset(folder).usable(leave_out_bad_rows=False), file)
    if forget:
        content = json.loads(file.read_text(encoding="utf-8"))
        for image in content["images"]:
            del image["chain"], image["prompts"]
        file.write_text(json.dumps(content), encoding="utf-8")
    (folder / DATA_FILE).unlink()
    import_dataset(file, folder)
    return [row.chain for row in read_dataset(folder).usable(leave_out_bad_rows=False).rows]


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(st.tuples(phrases, boxes), min_size=1, max_size=6),
    size=st.tuples(st.integers(700, 2000), st.integers(700, 2000)),
)
def test_boxes_and_words_are_the_same_out_and_in(parts: list[tuple[str, Box]], size: tuple[int, int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.new("1", size).save(folder / "a.png")
        row = {"image": "a.png", "prompt": "a prompt", "chain": chain_of(parts)}
        write_rows(folder, row)
        (before,) = [each.chain for each in read_dataset(folder).usable(leave_out_bad_rows=False).rows]
        assert there_and_back(folder) == [before]
        write_rows(folder, row)
        (after,) = there_and_back(folder, forget=True)
        assert [(r.phrase, r.box) for r in after.regions] == [(r.phrase, r.box) for r in before.regions]


def test_edits_keep_their_two_pictures_and_all_their_wordings(folder: Path) -> None:
    rows = [EDIT, EDIT | {"prompt": "paint the cup red"}, GOOD]
    write_rows(folder, *rows)
    export_coco(read_dataset(folder), folder / "coco.json")
    images = json.loads((folder / "coco.json").read_text())["images"]
    assert [(image["file_name"], image["width"]) for image in images] == [
        ("old/cup.png", 60),
        ("cup.png", 120),
    ]
    (folder / DATA_FILE).unlink()
    import_dataset(folder / "coco.json", folder)
    written = [json.loads(line) for line in (folder / DATA_FILE).read_text().splitlines()]
    assert written == [row | {"chain": CANONICAL} for row in rows]


def coco(*found: tuple[str, list[Any]], **image: Any) -> dict[str, Any]:
    names = list(dict.fromkeys(name for name, _ in found))
    return {
        "images": [{"id": 7, "file_name": "cup.png", "width": 1000, "height": 500, **image}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names)],
        "annotations": [
            {"id": number, "image_id": 7, "category_id": names.index(name), "bbox": box}
            for number, (name, box) in enumerate(found)
        ],
    }


def test_what_a_tool_moves_renames_adds_and_removes_changes_the_chain() -> None:
    text = "a red cup (100,200),(500,900) next to a green box (600,200),(900,900)."
    made = coco(
        ("a red cup", [100, 50, 400, 350]), ("a spoon", [0, 0, 100, 100]), chain=text, prompts=["things"]
    )
    ((where, row),) = coco_rows(made)
    chain = ReasoningChain.parse(row["chain"], "generate", "")
    assert where == "image 7" and row["prompt"] == ["things"]
    assert {(r.phrase, r.box) for r in chain.regions} == {
        ("a red cup", Box(100, 100, 500, 800)),
        ("a spoon", Box(0, 0, 100, 200)),
    }
    assert "green box" not in chain.text


def test_boxes_of_another_program_become_sentences() -> None:
    ((_, row),) = coco_rows(coco(("person", [0, 0, 500, 500]), ("dog", [500.5, 250, 100, 100])))
    assert row["image"] == "cup.png" and "source" not in row
    chain = ReasoningChain.parse(row["chain"], "generate", row["prompt"][0])
    assert [r.phrase for r in chain.regions] == ["person", "dog"] and chain.words == row["prompt"][0]


@pytest.mark.parametrize(
    ("box", "image", "words"),
    [
        ([0, 0, 0, 5], {}, "x, y, width and height"),
        ([0, 0, float("nan"), 5], {}, "x, y, width and height"),
        ("0 0 5 5", {}, "x, y, width and height"),
        ([0, 0, 10**400, 5], {}, "x, y, width and height"),
        ([2000, 0, 5, 5], {}, "outside the picture"),
        ([0, 0, 5, 5], {"width": 0}, "a width and a height"),
        ([0, 0, 5, 5], {"file_name": 3}, "file_name"),
    ],
)
def test_what_cannot_be_read_is_left_out_with_the_reason(box: Any, image: dict[str, Any], words: str) -> None:
    ((_, error),) = coco_rows(coco(("dog", box), **image))
    assert words in str(error)


@pytest.mark.parametrize("category", [None, {}, [1], 10**400, "dog"])
def test_a_box_of_no_category_is_left_out_with_the_reason(category: Any) -> None:
    values = coco(("dog", [0, 0, 5, 5]))
    values["annotations"][0]["category_id"] = category
    ((_, error),) = coco_rows(values)
    assert "no category" in str(error)


def test_the_command_line_exports_and_imports(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(folder, GOOD)
    file = folder / "labels" / "coco.json"
    assert run(capsys, "export", folder, "--coco", file) == (0, f"1 pictures into {file}.\n", "")
    (folder / DATA_FILE).unlink()
    assert run(capsys, "import", file, folder)[0] == 0
    assert json.loads((folder / DATA_FILE).read_text()) == GOOD | {"chain": CANONICAL}
