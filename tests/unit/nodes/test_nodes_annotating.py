"""GoT Annotate: one model of three kinds, the folder's files, and when it runs again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from got_pack.got_models.errors import GoTError
from got_pack.nodes._model import ManagedModel
from got_pack.nodes.annotating import ClipAnnotator, GoTAnnotate
from PIL import Image

from tests.unit.annotation.looking import Looking
from tiny_model.world.scene import Scene, Thing, draw

from .test_nodes_planning import Writer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """input/mine in the working directory, with a picture and a file that is none."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "input" / "mine"
    folder.mkdir(parents=True)
    draw(Scene("white", (Thing("circle", "red", 10, 20, 40, 40),)), 256).save(folder / "a.png")
    (folder / "broken.png").write_text("no picture")
    return folder


class LookingClip(Writer):
    """A CLIP of ComfyUI 0.33 that sees pictures by their pixels."""

    def tokenize(self, text: str, image: Any = None, **options: Any) -> Any:
        picture = None
        if image is not None:
            picture = Image.fromarray((image[0] * 255).round().byte().numpy())
        self.answers = [Looking().truth(text, picture)]
        return super().tokenize(text, image, **options)


def test_a_clip_annotates_a_folder_and_the_next_run_has_nothing_to_do(folder: Path) -> None:
    run = GoTAnnotate().annotate("mine", clip=LookingClip())
    name, report, annotated, doubtful = run["result"]
    assert (Path(name), annotated, doubtful) == (folder, 1, 1)
    assert report.splitlines()[0] == "2 annotated, 1 of them doubtful."
    assert report.splitlines()[1].startswith("broken.png: ") and "cannot open" in report
    (row,) = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    assert row["image"] == "a.png" and row["prompt"] == "a red circle" and "<|box_start|>" in row["chain"]
    (note,) = run["ui"]["notes"]
    assert note["en"].startswith("2 annotated, 1 of them doubtful") and "审核数据集" in note["zh"]
    assert GoTAnnotate().annotate("mine", clip=Writer())["result"][2:] == (0, 0)


def test_its_own_rows_do_not_make_it_run_again_and_new_pictures_do(folder: Path) -> None:
    before = GoTAnnotate.IS_CHANGED("mine")
    GoTAnnotate().annotate("mine", clip=LookingClip())
    assert GoTAnnotate.IS_CHANGED("mine") == before
    (folder / "new.png").write_bytes((folder / "a.png").read_bytes())
    assert GoTAnnotate.IS_CHANGED("mine") != before


def test_no_model_and_two_models_are_refused(folder: Path) -> None:
    with pytest.raises(GoTError, match="No model is given"):
        GoTAnnotate().annotate("mine")
    with pytest.raises(GoTError, match="Several models are given"):
        GoTAnnotate().annotate("mine", clip=Writer(), model=ManagedModel.__new__(ManagedModel))


def test_a_clip_that_cannot_write_look_or_locate_writes_nothing(folder: Path) -> None:
    for clip, words in (
        (object(), "cannot write"),
        (Writer("[]", looks=False), "cannot look"),
        (Writer("[]"), "red square"),
    ):
        with pytest.raises(GoTError, match=words):
            GoTAnnotate().annotate("mine", clip=clip)
    assert {file.name for file in folder.iterdir()} == {"a.png", "broken.png"}


def test_an_empty_folder_is_refused(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(GoTError, match="no picture"):
        GoTAnnotate().annotate("mine/empty", clip=Writer())


def test_a_clip_answers_greedily_so_that_a_picture_is_always_annotated_alike() -> None:
    clip = Writer("yes")
    assert ClipAnnotator(clip).answer("Is it?") == "yes"
    assert clip.chosen["do_sample"] is False
