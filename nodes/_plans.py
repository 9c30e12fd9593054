"""What a node shows of its plans: on the page as words with chips, to scripts as text."""

from __future__ import annotations

from typing import Any

from ..got_models.chain import ReasoningChain
from ..got_models.errors import printable
from ._comfy import encodable


def shown(*chains: ReasoningChain) -> dict[str, Any]:
    """The `ui` of a node that has made these plans.

    "plans" is for the page: each plan's text, and notes on it, each a text by language. "text" is for scripts
    that read ComfyUI's history: the plans with an empty line between them, then the notes.
    """
    plans = [{"text": chain.text, "notes": notes(chain)} for chain in chains]
    lines = [f"Warning: {note['en']}" for plan in plans for note in plan["notes"]]
    report = "\n".join(["\n\n".join(chain.text for chain in chains), *lines])
    return {"text": (printable(report),), "plans": encodable(plans)}


def notes(chain: ReasoningChain) -> list[dict[str, str]]:
    """What is to be said about a plan, by language; where there is no translation, in English alone."""
    return [{"en": warning} for warning in chain.brief_warnings()]
