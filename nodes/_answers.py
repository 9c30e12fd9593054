"""Answers to the page's questions about checkpoints and plans."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import wraps
from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import MAX_FILE, ChainError, ReasoningChain
from ..got_models.chain.notations import (
    AMBIGUOUS,
    MAX_TEXT,
    NOTATIONS,
    SizeNeededError,
    notation_of,
    plan_to_chain,
    read_plan,
)
from ..got_models.chain.plan_check import check_plan
from ..got_models.chain.switched_off import without_switched_off
from ..got_models.errors import GoTError, short_repr
from ..got_models.files.json_objects import read_json
from ..got_models.mllm.prompts import check_prompt
from ..got_models.notes import Note
from ._comfy.feedback import encodable
from ._comfy.folders import checkpoint_folder
from ._plans import by_language, error_by_language

if TYPE_CHECKING:
    from aiohttp.web import Request, Response

    Answer = Callable[[Request], Awaitable[Response]]
    from ..got_models.weights.checkpoint import CheckpointSettings


MAX_QUESTION = 4 * MAX_TEXT  # bytes
MOST_NOTES = 8
_NO_WORDS = re.compile(r"[^a-zA-Z\u0080-\uffff]*\Z")


def for_own_pages(answer: Answer) -> Answer:
    """A route's answer, not given to pages of other sites, as newer versions of ComfyUI do themselves."""

    @wraps(answer)
    async def answered(request: Request) -> Response:
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            from aiohttp import web

            return web.Response(status=403, text="Pages of other sites are not answered.")
        return await answer(request)

    return answered


async def answer_settings(request: Request) -> Response:
    """A checkpoint's own settings, by its name in the list of GoT Model Loader."""
    from aiohttp import web

    name = request.query.get("checkpoint", "")
    return web.json_response(await asyncio.to_thread(own_settings, name))


async def answer_check(request: Request) -> Response:
    """Remarks on a plan: notes, each a text by language."""
    from aiohttp import web

    return web.json_response(await asyncio.to_thread(notes_on, await body(request, MAX_FILE)))


async def answer_pasted(request: Request) -> Response:
    """The plan in a text that was pasted into the editor."""
    from aiohttp import web

    return web.json_response(await asyncio.to_thread(pasted_plan, await body(request, MAX_QUESTION)))


async def body(request: Request, most: int) -> bytes:
    """What a page has sent; of more than `most` bytes, a little more than those."""
    parts: list[bytes] = []
    while sum(map(len, parts)) <= most and (part := await request.content.read(most)):
        parts.append(part)
    return b"".join(parts)


def own_settings(name: str) -> dict[str, Any]:
    """The settings that a widget's 0, -1 or auto resolves to, by task; {} if there is no such checkpoint."""
    settings = _settings(name)
    if settings is None:
        return {}
    others = {"max_new_tokens": settings.max_new_tokens, "speed": settings.speed, **_temperature(name)}
    return {task: {**asdict(own), **others} for task, own in settings.tasks.items()}


def notes_on(question: bytes) -> list[dict[str, str]]:
    """
    Args:
        question: JSON with a "chain", as returned by `ReasoningChain.to_json`, and optionally the name of
            the "checkpoint" that is to draw it. For anything else there are no notes.
    """
    try:
        asked: Any = json.loads(question) if len(question) <= MAX_FILE else None
        chain = ReasoningChain.from_json(asked["chain"])
    except (ValueError, TypeError, KeyError, RecursionError):  # GoTError is a ValueError
        return []
    try:
        drawn = without_switched_off(chain)
    except ChainError as error:
        return [error_by_language(error)]
    settings = _settings(asked.get("checkpoint"))
    notes: list[dict[str, str]] = encodable(by_language(check_plan(drawn, settings and settings.vocabulary)))
    return notes


def pasted_plan(question: bytes) -> dict[str, Any]:
    """A plan in another notation, pasted into the editor.

    Args:
        question: JSON with the "text", the "task" and the "prompt" of the plan to be, and, where the editor
            has asked for them, the "notation", and "width" and "height" of the picture in pixels.

    Returns:
        "chain" and "notation"; "notes", on what was assumed and left out, each a sentence by language; and
        "ambiguous": whether the notation leaves open what its numbers mean. Or "prose": the text is no other
        notation's. Or "error": why it cannot be read, by language; with "size": because the boxes are in
        pixels of a picture of unknown size.
    """
    if len(question) > MAX_QUESTION:
        return {"error": error_by_language(GoTError(Note("plan_too_long", most=str(MAX_TEXT))))}
    try:
        asked: Any = json.loads(question)
        text, task, prompt = asked["text"], asked["task"], asked["prompt"]
        notation, size = asked.get("notation", "auto"), (asked.get("width"), asked.get("height"))
        if not all(isinstance(entry, str) for entry in (text, task, prompt)) or notation not in NOTATIONS:
            raise GoTError(f"A pasted plan cannot be asked about with {short_repr(asked)}.")
        found = notation_of(text) if notation == "auto" else notation
        if found == "got" or _NO_WORDS.match(text):
            return {"prose": True}
        plan = read_plan(text, notation=notation, size=None if None in size else size)
        chain = plan_to_chain(plan, task, prompt)
        check_prompt(chain.prompt)
    except SizeNeededError as error:
        return encodable({"error": error_by_language(error), "size": True, "notation": found})
    except GoTError as error:
        return encodable({"error": error_by_language(error)})
    except (ValueError, TypeError, KeyError, RecursionError):
        return {"error": {"en": "This is not what an editor asks."}}
    ambiguous = found in AMBIGUOUS and bool(plan.notes)
    notes = by_language(chain.brief_warnings(MOST_NOTES))
    answer = {"notation": found, "notes": notes, "ambiguous": ambiguous}
    return {"chain": chain.to_json(), **encodable(answer)}


def _temperature(name: str) -> dict[str, float]:
    """The language model's default temperature; 0: greedy decoding."""
    from ..got_models.files.entries import check_entries
    from ..got_models.weights.configs import GENERATION

    file = checkpoint_folder(name) / "mllm" / "generation_config.json"
    try:
        config = read_json(file)
        check_entries(file, config, GENERATION)
    except (GoTError, OSError):
        return {}
    return {"temperature": config.get("temperature") or 1.0 if config.get("do_sample") else 0.0}


def _settings(name: Any) -> CheckpointSettings | None:
    from ..got_models.weights.checkpoint import read_settings

    if not isinstance(name, str):
        return None
    try:
        return read_settings(checkpoint_folder(name))
    except (GoTError, OSError):
        return None
