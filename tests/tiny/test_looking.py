"""Questions about a picture: how they are asked, how answers are read, and what the command line prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from got_models.__main__ import main
from got_models.annotation.annotator import PIXELS, check_coordinates
from got_models.annotation.generation import annotate_picture
from got_models.annotation.local import CheckpointAnnotator
from got_models.constants import BUNDLED_CHECKPOINT
from got_models.errors import GoTError
from got_models.mllm.prompts import DESCRIBE, LOCATE_ALL
from got_models.mllm.reasoner import Reasoner
from got_models.pipeline import GoTModel
from tests.unit.annotation.looking import Looking
from tiny_model.world.scene import Scene, Thing, draw

PICTURE = Image.new("RGB", (256, 128), "white")
TWO = """```json
[
\t{"bbox_2d": [0, 56, 112, 168], "label": "red circle"},
\t{"bbox_2d": [112, 0, 224, 224], "label": "blue star"}
]
```"""


@pytest.fixture(scope="module")
def model() -> GoTModel:
    return GoTModel.from_pretrained(BUNDLED_CHECKPOINT)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the MLLM give an answer; returns the questions that it was asked."""

    def give(answer: str) -> list[str]:
        asked: list[str] = []

        def answered(
            self: Reasoner, words: str, image: Image.Image, *_: Any, on_text: Any = None, **__: Any
        ) -> str:
            asked.append(words)
            if on_text:
                on_text(answer)
            return answer

        monkeypatch.setattr(Reasoner, "answer", answered)
        return asked

    return give


def test_a_question_is_the_picture_and_then_the_words_in_qwens_conversation(model: GoTModel) -> None:
    reasoner = model.parts.reasoner()
    context = reasoner.question(DESCRIBE, PICTURE)
    text = reasoner.tokenizer.decode(context.tokens)
    visual = "<|vision_start|>" + "<|image_pad|>" * 64 + "<|vision_end|>"
    assert text.endswith(f"<|im_start|>user\n{visual}{DESCRIBE}<|im_end|>\n<|im_start|>assistant\n")


def test_an_answer_is_streamed_and_can_be_stopped(model: GoTModel) -> None:
    pieces: list[str] = []
    assert model.describe(PICTURE, on_text=pieces.append) == "".join(pieces).strip()
    from got_models.errors import Interrupted

    with pytest.raises(Interrupted):
        model.locate(PICTURE, should_stop=lambda: True)


def test_boxes_in_pixels_of_the_picture_as_it_was_shown_become_fractions(
    model: GoTModel, answering: Any
) -> None:
    asked = answering(TWO)
    circle, star = model.locate(PICTURE).elements
    assert asked == [LOCATE_ALL]
    assert (circle.phrase, circle.box) == ("red circle", (0.0, 0.25, 0.5, 0.75))
    assert (star.phrase, star.box) == ("blue star", (0.5, 0.0, 1.0, 1.0))


def test_phrases_are_asked_for_in_their_order(model: GoTModel, answering: Any) -> None:
    asked = answering("[]")
    assert model.locate(PICTURE, ["the red circle", "a star"]).elements == ()
    assert asked == [
        "Locate the red circle, a star in this picture and output the bounding boxes in JSON format."
    ]


@pytest.mark.parametrize("phrase", ["", "  ", "a <|box_start|> circle", "x" * 30_000])
def test_a_phrase_that_cannot_be_asked_for_is_refused_before_anything_is_loaded(
    phrase: str, model: GoTModel
) -> None:
    with pytest.raises(GoTError):
        model.locate(PICTURE, [phrase])


def test_an_answer_that_is_no_list_of_boxes_is_an_error_that_quotes_it(
    model: GoTModel, answering: Any
) -> None:
    answering("I see a red circle.")
    with pytest.raises(GoTError, match="I see a red circle"):
        model.locate(PICTURE)


def test_it_annotates_pictures_that_it_sees_as_squares(
    model: GoTModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene("white", (Thing("circle", "red", 10, 20, 40, 40), Thing("star", "blue", 70, 60, 48, 48)))
    seen = Looking(PIXELS)
    monkeypatch.setattr(seen, "size_shown", lambda picture: (model.settings.vision_size,) * 2)

    def answer(self: Reasoner, words: str, image: Image.Image, *_: Any, **__: Any) -> str:
        return seen.truth(words, image)

    monkeypatch.setattr(Reasoner, "answer", answer)
    annotator = CheckpointAnnotator(model)
    check_coordinates(annotator)
    annotation = annotate_picture(annotator, draw(scene, 256).resize((384, 192)))
    assert annotation.doubts == ()
    for region, thing in zip(annotation.chain.regions, scene.things, strict=True):
        assert region.phrase.lower() == f"a {thing.color} {thing.shape}"
        assert region.box.iou(thing.box) > 0.7


def test_a_checkpoint_that_was_not_taught_to_locate_does_not_annotate(
    model: GoTModel, answering: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PICTURE.save(tmp_path / "picture.png")
    answering("1. The picture shows a red square.")
    assert main(["dataset", "annotate", str(tmp_path)]) == 2
    assert "does not find a red square" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]


def test_the_command_line_describes(
    answering: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PICTURE.save(tmp_path / "picture.png")
    answering("A red circle on a white background.")
    assert main(["describe", str(tmp_path / "picture.png")]) == 0
    assert capsys.readouterr().out == "A red circle on a white background.\n"


def test_the_command_line_locates_in_the_pictures_own_pixels_and_draws_the_boxes(
    answering: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PICTURE.save(tmp_path / "picture.png")
    answering(TWO)
    assert main(["locate", str(tmp_path / "picture.png"), "--out", str(tmp_path / "out")]) == 0
    expected = [
        {"bbox_2d": [0, 32, 128, 96], "label": "red circle"},
        {"bbox_2d": [128, 0, 256, 128], "label": "blue star"},
    ]
    assert json.loads(capsys.readouterr().out) == expected
    assert json.loads((tmp_path / "out" / "located.json").read_text()) == expected
    drawn = Image.open(tmp_path / "out" / "located.png")
    assert drawn.width / drawn.height == 2
    assert (
        len(set(drawn.get_flattened_data() if hasattr(drawn, "get_flattened_data") else drawn.getdata())) > 2
    )


@pytest.mark.parametrize(
    "arguments", [["nowhere.png"], ["{picture}", ""], ["{picture}", "--out", "{picture}"]]
)
def test_unusable_input_is_told_and_nothing_is_written(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture.png"
    PICTURE.save(picture)
    assert main(["locate", *(argument.format(picture=picture) for argument in arguments)]) == 2
    output = capsys.readouterr()
    assert output.out == "" and "error: " in output.err
    assert list(tmp_path.iterdir()) == [picture]
