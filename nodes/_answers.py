"""Answers to the page's questions about checkpoints and plans."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import MAX_FILE, ReasoningChain
from ..got_models.chain.plan_check import check_plan
from ..got_models.errors import GoTError
from ..got_models.files.json_objects import read_json
from ._comfy.feedback import encodable
from ._comfy.folders import checkpoint_folder
from ._plans import by_language

if TYPE_CHECKING:
    from aiohttp.web import Request, Response

    from ..got_models.weights.checkpoint import CheckpointSettings


async def answer_settings(request: Request) -> Response:
    """A checkpoint's own settings, by its name in the list of GoT Model Loader."""
    from aiohttp import web

    name = request.query.get("checkpoint", "")
    return web.json_response(await asyncio.to_thread(own_settings, name))


async def answer_check(request: Request) -> Response:
    """Remarks on a plan: notes, each a text by language."""
    from aiohttp import web

    text = (await request.content.read(MAX_FILE + 1)) if request.can_read_body else b""
    return web.json_response(await asyncio.to_thread(notes_on, text))


def own_settings(name: str) -> dict[str, Any]:
    """The settings that a widget's 0 or -1 resolves to, by task; {} if there is no such checkpoint."""
    settings = _settings(name)
    if settings is None:
        return {}
    writing = {"max_new_tokens": settings.max_new_tokens, **_temperature(name)}
    return {task: {**asdict(own), **writing} for task, own in settings.tasks.items()}


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
    settings = _settings(asked.get("checkpoint"))
    notes: list[dict[str, str]] = encodable(by_language(check_plan(chain, settings and settings.vocabulary)))
    return notes


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
