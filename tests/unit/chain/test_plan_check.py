"""What is said about a plan before it is drawn: what the model has not learned; nothing where all is well."""

from __future__ import annotations

import copy
import io
import json
import pickle
import random
import re
import string
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from got_models.chain.chain import ReasoningChain
from got_models.chain.plan_check import check_picture, check_plan, leaves_unchanged, things_asked_for
from got_models.commands.options import BUNDLED_CHECKPOINT
from got_models.errors import GoTError
from got_models.notes import ENGLISH, Note
from got_models.weights.checkpoint import read_settings
from tiny_model.evaluation.looking import sample_shown
from tiny_model.world.edits import sample_edit
from tiny_model.world.language import Example, sample_generation
from tiny_model.world.layouts import LAYOUTS
from tiny_model.world.scene import draw
from tiny_model.world.vocabulary import shapes_vocabulary

ROOT = Path(__file__).parents[3]
KNOWN = shapes_vocabulary()
ONE = "On a white background there is a red circle (100,100),(400,400)."
TWO = (
    "On a white background there are a red circle (100,100),(400,400) and a blue square (600,600),(900,900)."
)
OUTSIDE = {
    "a cat on a sofa": "has not learned: cat, sofa.",
    "a photo of a sunset over the ocean": "has not learned: photo, sunset, ocean.",
    "seven red circles": "asks for 7 things. The bundled model draws at most 4.",
    "a dozen small stars": "asks for 12 things.",
    "12 blue squares": "has not learned: 12.",
    "a red hexagon": "has not learned: hexagon.",
    "a turquoise circle": "has not learned: turquoise.",
    "a red circle inside a blue square": "has not learned: inside.",
    "a tiny yellow star": "has not learned: tiny.",
    "a red circle on a beach": "has not learned: beach.",
    "a portrait of a woman with a hat": "has not learned: portrait, woman, hat.",
    "the word HELLO in red letters": "has not learned: word, hello, letters.",
    "a cyberpunk city at night, 8k": "has not learned: cyberpunk, city, night, 8k.",
    "a red circle without a border": "has not learned: without, border.",
    "watercolor of a mountain lake": "has not learned: watercolor, mountain, lake.",
    "a striped triangle": "has not learned: striped.",
    "\u4e00\u53ea\u732b": "has not learned: \u4e00\u53ea\u732b.",
    "un chat rouge": "has not learned: un, chat, rouge.",
    "a red cirle and a blue square": "has not learned: cirle.",
    "five red circles and two green stars": "asks for 7 things.",
}
SUNSET = "make it a sunset"


def said(text: str, prompt: str, task: str = "generate") -> list[str]:
    return [str(note) for note in check_plan(ReasoningChain.read(text, task, prompt), KNOWN)]


def examples() -> list[Example]:
    rng = random.Random("own prompts")
    made = [sample_generation(rng, evaluation=True) for _ in range(100)]
    return made + [sample_edit(rng, evaluation=True, layout=LAYOUTS[index % 2]) for index in range(100)]


def test_the_shapes_worlds_own_plans_and_pictures_are_not_worth_a_word() -> None:
    for index, example in enumerate(examples()):
        assert check_plan(example.chain, KNOWN) == [], example.prompt
        if example.source is not None:
            picture = draw(example.source, (128, 300, 512)[index % 3])
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=75)
            assert check_picture(picture, KNOWN) == []
            assert check_picture(Image.open(file), KNOWN) == []


@pytest.mark.parametrize(("prompt", "sentence"), OUTSIDE.items(), ids=ascii)
def test_prompts_outside_the_vocabulary_are_told_what_is_unknown(prompt: str, sentence: str) -> None:
    (first, *_) = said(ONE, prompt)
    assert sentence in first
    assert check_plan(ReasoningChain.read(ONE, "generate", prompt), None) == [], "no vocabulary: all is known"


@pytest.mark.parametrize("prompt", ["A RED CIRCLE", "Draw a red circle."])
def test_capitals_which_the_model_never_read_are_told(prompt: str) -> None:
    (note,) = said(ONE, prompt)
    assert note.startswith("The bundled model has only learned to read small letters.")


def test_unknown_words_that_somebody_has_put_into_the_plan_are_told() -> None:
    assert "has not learned: cat." in said(ONE.replace("a red circle", "a cat"), "a red circle")[0]
    assert said(ONE, "please draw me a red circle") == []


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ("a red circle", 1),
        ("three red circles and a blue square", 4),
        ("a picture of two stars to the left of a large square", 3),
        ("the circles", None),
        ("red", None),
    ],
)
def test_the_things_that_a_prompt_asks_for_are_counted(prompt: str, count: int | None) -> None:
    assert things_asked_for(prompt, KNOWN) == count


def test_a_plan_with_another_number_of_boxes_than_the_prompt_asks_for_is_told() -> None:
    assert said(ONE, "a red circle and a blue square") == [
        "Things that the prompt asks for: 2. Boxes in the plan: 1."
    ]


def test_boxes_that_lie_strangely_are_told() -> None:
    prompt = "a red circle and a blue square"
    assert "have the same place" in said(TWO.replace("(600,600),(900,900)", "(110,100),(400,400)"), prompt)[0]
    overlapping = TWO.replace("(600,600),(900,900)", "(250,250),(550,550)")
    (note,) = said(overlapping.replace("(250,250)", "(240,200)"), prompt)
    assert note.startswith('"a red circle" and "a blue square" overlap. The bundled model has only ever seen')
    assert check_plan(ReasoningChain.read(overlapping, "generate", prompt)) == [], "other models know that"


def test_masks_that_cannot_be_told_apart_are_told() -> None:
    prompt = "a red circle and a blue square"
    alike = TWO.replace("(400,400)", "(400,400) (pink)").replace("(900,900)", "(900,900) (lightpink)")
    assert "pink and lightpink, can hardly be told apart" in said(alike, prompt)[0]
    assert "cannot be seen on black" in said(TWO.replace("(400,400)", "(400,400) (black)"), prompt)[0]


def test_a_plan_without_a_box_says_what_follows_from_that() -> None:
    assert "nothing is held in its place" in said("There is a red circle.", "a red circle")[0]
    chain = ReasoningChain.read("1. The picture shows a red circle.", "edit", "make the red circle blue")
    assert check_plan(chain, KNOWN)[0].key == "left_as_it_is"
    assert leaves_unchanged(chain, KNOWN)
    assert check_plan(chain)[0].key == "no_box_to_edit"
    assert not leaves_unchanged(chain, None), "other models edit whole pictures"
    assert not leaves_unchanged(ReasoningChain.read(ONE, "edit", "make the red circle blue"), KNOWN)


def photo(seed: int) -> Image.Image:
    """Noise of all sizes, as coarse and as fine as in a landscape."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize(
            (300, 200), Image.BICUBIC
        )
        for side in (3, 12, 60)
    ]
    return Image.blend(Image.blend(layers[0], layers[1], 0.4), layers[2], 0.2)


def test_pictures_that_the_model_cannot_look_at_are_told() -> None:
    gradient = Image.linear_gradient("L").convert("RGB")
    sepia = Image.new("RGB", (200, 200), (112, 66, 20))
    ImageDraw.Draw(sepia).ellipse((20, 20, 120, 120), fill=(222, 184, 135))
    sketch = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(sketch).line([(20, 180), (100, 20), (180, 180), (20, 90)], fill="black", width=4)
    for picture in (photo(1), photo(2), photo(1).convert("L"), gradient, sepia, sketch):
        (note,) = check_picture(picture, KNOWN)
        assert str(note).startswith("The bundled model has not learned to look at pictures like this one.")
        assert check_picture(picture, None) == []


def test_pictures_in_any_tone_that_training_shows_are_not_worth_a_word() -> None:
    for picture, _ in sample_shown(random.Random("tones"), 40):
        assert check_picture(picture, KNOWN) == []


def test_the_bundled_checkpoint_says_what_the_shapes_world_teaches() -> None:
    assert read_settings(BUNDLED_CHECKPOINT).vocabulary == KNOWN


def names_in(template: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(template)}


def test_every_sentence_is_translated_with_the_same_values() -> None:
    translated = json.loads((ROOT / "locales" / "zh" / "notes.json").read_text(encoding="utf-8"))
    assert list(translated) == list(ENGLISH)
    for key, english in ENGLISH.items():
        assert names_in(english) == names_in(translated[key]), key
        assert not re.search("[a-z]", re.sub(r"\{\w+\}|LoRA", "", translated[key])), key


def test_a_sentence_that_is_copied_or_raised_can_still_be_translated() -> None:
    note = Note("too_many", name="tiny", asked="5", most="4")
    for copied in (copy.deepcopy(note), pickle.loads(pickle.dumps(note)), GoTError(note).sentence):
        assert isinstance(copied, Note)
        assert (copied, copied.key, copied.values) == (note, note.key, note.values)
