"""Remarks for people about plans and pictures: sentences that can be translated."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH = {
    "unknown_words": "{name} has not learned: {words}. It knows {things}.",
    "capitals": "{name} has only learned to read small letters. Write the prompt without capitals.",
    "unknown_picture": (
        "{name} has not learned to look at pictures like this one. It knows flat {objects} on an even "
        "ground: what it plans and draws here is a guess."
    ),
    "too_many": "The prompt asks for {asked} things. {name} draws at most {most}.",
    "another_count": "Things that the prompt asks for: {asked}. Boxes in the plan: {boxes}.",
    "no_box": "The plan has no box, so nothing is held in its place.",
    "no_box_to_edit": "The plan has no box: the whole picture may change.",
    "left_as_it_is": (
        "The plan has no box that could be read, so the picture stays as it is. Say in other words what is "
        "to change, or write a box into the plan."
    ),
    "same_place": "{one} and {other} have the same place: one of them will be missing.",
    "overlap": "{one} and {other} overlap. {name} has only ever seen things side by side.",
    "dark_mask": "The mask of {one} is {color}, which cannot be seen on black. Choose a brighter colour.",
    "alike_masks": "The masks of {one} and {other}, {color} and {near}, can hardly be told apart.",
    "details": (
        "GoT draws from the plan's words and boxes alone: what the boxes say about {what} is left aside. "
        "Other models take it, through GoT Chain to JSON, GoT Chain to Masks or GoT Regional Conditioning."
    ),
    "draws_smaller": (
        "Unless SSGM Encode has another size, this is drawn at {drawn} and enlarged to the picture's {size}: "
        "what changes will be softer than the rest."
    ),
    "regional_passes": (
        "This model hears its words in other ways than SD 1.5 and SDXL: each step takes {passes} passes, one "
        "for the background and one for each box."
    ),
    "regional_loras": (
        "LoRAs for single boxes: {passes}. Each step takes as many more passes for the prompt and for the "
        "negative, and exchanges the model's weights in between."
    ),
    "regional_unused_loras": "Not used: {names}. The plan has {boxes} boxes.",
    "regional_no_words": "Boxes without words, which get those of the whole picture: {boxes}.",
    "enlarged": (
        "Drawn at {drawn} and enlarged to the picture's {size}: what has changed is softer than the rest."
    ),
}
"""Each sentence by its key, with a placeholder in braces for each of its values."""

Value = str | Mapping[str, str]
"""A text, or one per language."""


class Note(str):
    """A sentence; the string itself is the English one.

    Attributes:
        key: identifies the sentence.
        values: its placeholders' values.
    """

    key: str
    values: Mapping[str, Value]

    def __new__(cls, key: str, **values: Value) -> Note:
        note = super().__new__(cls, said(ENGLISH[key], values, "en"))
        note.key, note.values = key, values
        return note


def said(template: str, values: Mapping[str, Value], language: str) -> str:
    """A sentence in a language, falling back to English for values that are not translated."""
    texts = {
        name: value if isinstance(value, str) else value.get(language, value["en"])
        for name, value in values.items()
    }
    return template.format_map(texts)
