"""An annotator that sees drawn pictures by their pixels and answers as Qwen does. It can be made to err."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache

from PIL import Image

from got_models.annotation import prompts
from got_models.annotation.annotator import PIXELS, THOUSANDTHS
from got_models.mllm.prompts import DESCRIBE, LOCATE_ALL
from tiny_model.world.found_objects import Found, find_background, find_objects
from tiny_model.world.language import listed, name
from tiny_model.world.scene import COLORS, SHAPES

_ASKED = re.compile(r"Locate (.*) in this picture")
_NAMED = re.compile(rf"\b(?:an? |the )?({'|'.join(COLORS)}) ({'|'.join(SHAPES)})s?\b")
Mistake = Callable[[str, Image.Image | None, str], str]
"""From a question, its picture and the right answer to the one that is given."""


class Looking:
    """Answers truthfully, as far as pixels tell, unless a mistake is given."""

    name = "the pixels"
    tokens = 0

    def __init__(
        self,
        coordinates: str = THOUSANDTHS,
        follows_instructions: bool = True,
        mistake: Mistake = lambda question, picture, answer: answer,
    ) -> None:
        self.coordinates = coordinates
        self.follows_instructions = follows_instructions
        self.mistake = mistake
        self.asked: list[str] = []

    def size_shown(self, picture: Image.Image) -> tuple[int, int]:
        return picture.size

    def answer(self, question: str, picture: Image.Image | None = None) -> str:
        self.asked.append(question)
        return self.mistake(question, picture, self.truth(question, picture))

    def truth(self, question: str, picture: Image.Image | None) -> str:
        if picture is None:
            return self._about_text(question)
        if question in (DESCRIBE, prompts.ASK_DESCRIPTION, prompts.ASK_BRIEFLY):
            words = described(picture)
            return words if question == DESCRIBE else f"The picture shows {words[0].lower()}{words[1:]}"
        if question == prompts.ASK_PROMPT:
            return listed([called(thing) for thing in things(picture)] or ["nothing"])
        if question == LOCATE_ALL:
            return self.boxes(things(picture), picture)
        if asked := _ASKED.match(question):
            named = _NAMED.findall(asked[1])
            return self.boxes([thing for thing in things(picture) if pair(thing) in named], picture)
        if question.startswith("Does this picture show"):
            return (
                "Yes."
                if set(_NAMED.findall(question)) <= {pair(thing) for thing in things(picture)}
                else "No."
            )
        return self._about_edit(question, picture)

    def _about_text(self, question: str) -> str:
        if question.startswith("Which objects"):
            text = question.partition("Text: ")[2]
            names = [match[0] for match in _NAMED.finditer(text)]
            return f"```json\n{json.dumps(names)}\n```"
        instruction = question.split('"')[1]
        return json.dumps([f"please {instruction}", f"{instruction} for me", f"now {instruction}"])

    def _about_edit(self, question: str, picture: Image.Image) -> str:
        half = picture.width // 2
        left, right = picture.crop((0, 0, half, picture.height)), picture.crop((half, 0, *picture.size))
        before, after = ({pair(thing) for thing in things(side)} for side in (left, right))
        gone, new = sorted(before - after), sorted(after - before)
        if question.startswith("The left half is a detail"):
            return f"It becomes {name(*new[0])}" if new else "It is gone."
        if "Write the instruction" in question:
            if gone and new:
                return f"turn the {' '.join(gone[0])} into {name(*new[0])}"
            return f"remove the {' '.join(gone[0])}" if gone else f"add {name(*new[0])}"
        kind = "change" if gone and new else "remove" if gone else "add"
        return json.dumps([{"object": name(*(gone or new)[0]), "edit": kind}])

    def boxes(self, found: list[Found], picture: Image.Image) -> str:
        width, height = (1000, 1000) if self.coordinates == THOUSANDTHS else self.size_shown(picture)
        entries = []
        for thing in found:
            left, top, right, bottom = thing.box
            x, y = width / picture.width, height / picture.height
            box = [round(left * x), round(top * y), round(right * x), round(bottom * y)]
            entries.append({"bbox_2d": box, "label": " ".join(pair(thing))})
        return f"```json\n{json.dumps(entries)}\n```"


class LyingAboutItsUnit(Looking):
    """Counts in the other unit than it declares."""

    def boxes(self, found: list[Found], picture: Image.Image) -> str:
        declared = self.coordinates
        self.coordinates = PIXELS if declared == THOUSANDTHS else THOUSANDTHS
        try:
            return super().boxes(found, picture)
        finally:
            self.coordinates = declared


def things(picture: Image.Image) -> list[Found]:
    """What a picture shows, from the left."""
    return _things(picture.size, picture.convert("RGB").tobytes())


@lru_cache(maxsize=64)
def _things(size: tuple[int, int], pixels: bytes) -> list[Found]:
    found = find_objects(Image.frombytes("RGB", size, pixels))
    return sorted(found, key=lambda thing: (thing.box[0] + thing.box[2], thing.box[1]))


def pair(thing: Found) -> tuple[str, str]:
    return thing.color, thing.shape


def called(thing: Found) -> str:
    return name(*pair(thing))


def described(picture: Image.Image) -> str:
    shown = listed([called(thing) for thing in things(picture)] or ["nothing"])
    text = f"{shown} on a {find_background(picture) or 'mixed'} background"
    return f"{text[0].upper()}{text[1:]}."
