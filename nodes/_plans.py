"""Display of plans on a node: as words with chips on the page, as text for scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..got_models.chain.chain import ReasoningChain
from ..got_models.errors import GoTError, printable
from ..got_models.notes import Note, said
from ._comfy.feedback import encodable

TRANSLATIONS = Path(__file__).parents[1] / "locales"
LANGUAGES = ("zh",)


def plans_ui(*plans: tuple[ReasoningChain, Sequence[Note]]) -> dict[str, Any]:
    """The `ui` of a node that has made plans, each with the notes on it.

    "plans" is for the page: each plan's text, and its notes, each a text by language. "text" is for scripts
    that read ComfyUI's history: the plans separated by empty lines, then the notes.
    """
    entries = [
        {"text": chain.text, "notes": by_language([*notes, *chain.brief_warnings()])}
        for chain, notes in plans
    ]
    lines = [f"Warning: {note['en']}" for entry in entries for note in entry["notes"]]
    report = "\n".join(["\n\n".join(chain.text for chain, _ in plans), *lines])
    return {"text": (printable(report),), "plans": encodable(entries)}


def notes_ui(notes: Sequence[str]) -> dict[str, Any]:
    """The `ui` of a node with notes besides its results; an empty list clears earlier ones."""
    return {"notes": by_language(notes)}


def by_language(sentences: Sequence[str]) -> list[dict[str, str]]:
    """Each sentence in all its languages."""
    return [
        {"en": str(sentence)}
        | {
            language: said(translations(language)[sentence.key], sentence.values, language)
            for language in LANGUAGES
            if isinstance(sentence, Note)
        }
        for sentence in sentences
    ]


def error_by_language(error: GoTError) -> dict[str, str]:
    """What an error says, in all languages that it can be said in."""
    return by_language([error.sentence if isinstance(error.sentence, Note) else str(error)])[0]


@cache
def translations(language: str) -> dict[str, str]:
    """The sentences of `notes` in a language, by key."""
    text = (TRANSLATIONS / language / "notes.json").read_text(encoding="utf-8")
    sentences: dict[str, str] = json.loads(text)
    return sentences
