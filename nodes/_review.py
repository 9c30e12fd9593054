"""Reviewing a dataset from the page: its rows, its pictures, and each decision, which is written at once."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AbstractContextManager
from io import BytesIO
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..got_models.annotation.output import REVIEW_FILE
from ..got_models.annotation.review import Review, review
from ..got_models.annotation.review_rows import ReviewRow, nearest
from ..got_models.annotation.revision import Revision, revision
from ..got_models.chain.chain import MAX_FILE, ReasoningChain
from ..got_models.chain.details import PLAIN
from ..got_models.chain.prompt_update import updated_prompt
from ..got_models.chain.switched_off import without_switched_off
from ..got_models.dataset.rows import DATA_FILE, find_picture
from ..got_models.errors import GoTError, short_repr
from ._answers import body
from ._comfy.feedback import encodable
from ._comfy.folders import dataset_folder, is_in_input_folder, is_network_or_device

if TYPE_CHECKING:
    from aiohttp.web import Request, Response

DOUBTFUL, ACCEPTED = "doubtful", "accepted"
MOST_ROWS = 100
"""How many rows the page is given at once."""
MOST_NOTES = 8
LONGEST_SIDE = 2048  # pixels of a picture in the page
QUALITY = 95  # JPEG's

_LOCK = Lock()
"""Decisions of several editors queue; for another process, a folder's own lock refuses them."""
_run: set[str] = set()
"""The folders, as they were typed, with which the node has run."""
_opened: set[str] = set()
"""The full paths of those that the page has opened."""


async def answer_open(request: Request) -> Response:
    """The rows of a folder that are to be reviewed."""
    from aiohttp import web

    return web.json_response(await asyncio.to_thread(opened, await body(request, MAX_FILE)))


async def answer_decide(request: Request) -> Response:
    """Accepts or rejects a row."""
    from aiohttp import web

    return web.json_response(await asyncio.to_thread(decided, await body(request, MAX_FILE)))


async def answer_picture(request: Request) -> Response:
    """A picture of a folder that is reviewed, as JPEG."""
    from aiohttp import web

    asked = [request.query.get(key, "") for key in ("folder", "name")]
    try:
        return web.Response(body=await asyncio.to_thread(picture, *asked), content_type="image/jpeg")
    except GoTError as error:
        return web.Response(status=404, text=encodable(str(error)))


def opened(question: bytes) -> dict[str, Any]:
    """
    Args:
        question: JSON with the "folder" as a user names it, which "rows" of it, DOUBTFUL or ACCEPTED, and
            how many of them to "skip".

    Returns:
        "rows", the next MOST_ROWS as `shown` gives them, and "total", how many there are; or "error".
    """
    try:
        asked = _asked(question, folder=str, rows=str, skip=int)
        with _LOCK, _open(asked) as current:
            rows = current.rows()
            skipped = sum(1 for _ in islice(rows, min(max(asked["skip"], 0), sys.maxsize)))
            given = [shown(row) for row in islice(rows, MOST_ROWS)]
            return {"rows": given, "total": skipped + len(given) + sum(1 for _ in rows)}
    except GoTError as error:
        return encodable({"error": str(error)})


def decided(question: bytes) -> dict[str, Any]:
    """
    Args:
        question: JSON with "folder" and "rows" as for `opened`, the "row" by its digest, its "line", the
            "decision", "accept" or "reject", and what the row says now: "chain", as returned by
            `ReasoningChain.to_json`, and "prompts"; each null: as it is.

    Returns:
        "row", what it is now among the same rows, or null if it is there no longer, and "left_out", whether
        something of the chain has no place in a dataset. Or "error"; with "gone": the row was decided on or
        changed elsewhere.
    """
    try:
        asked = _asked(question, folder=str, rows=str, row=str, decision=str)
        with _LOCK, _open(asked) as current:
            line = asked.get("line")
            same = (row for row in current.rows() if row.digest == asked["row"])
            row = nearest(same, line if type(line) is int else 0)
            if row is None:
                return {"error": "This row has been decided on or changed elsewhere.", "gone": True}
            if asked["decision"] == "reject":
                current.reject(row)
                return {"row": None, "left_out": False}
            if asked["decision"] != "accept":
                raise GoTError(f"Expected accept or reject, received {short_repr(asked['decision'])}.")
            chain, prompts = _changes(asked.get("chain"), asked.get("prompts"), row)
            kept = current.accept(row, chain.text if chain else None, prompts)
            left_out = any(region.detail != PLAIN for region in chain.regions) if chain else False
            return {"row": kept and shown(kept), "left_out": left_out}
    except GoTError as error:
        return encodable({"error": str(error)})


def shown(row: ReviewRow) -> dict[str, Any]:
    """A row for the page: its digest as "row", "line", "image", "source", "prompts", "chain" and "reasons".

    "mended" says that the chain is not the row's own, which could not be read as it is.
    """
    task, prompt = "edit" if row.source else "generate", next(iter(row.prompts), "")
    chain = ReasoningChain.read(row.chain, task, prompt, expects_colors=False)
    reasons = [*row.reasons, *map(str, chain.brief_warnings(MOST_NOTES))]
    # Names and prompts are not escaped: the page sends them back.
    told = {"image": row.image, "source": row.source, "prompts": [*row.prompts]}
    said = {"reasons": encodable(reasons), "mended": bool(chain.warnings)}
    return {"row": row.digest, "line": row.line, "chain": chain.to_json(), **told, **said}


def picture(folder: str, name: str) -> bytes:
    """A picture of a folder that holds a dataset, upright in sRGB, as JPEG.

    Any page can ask for it, and so no file is touched but in a folder whose rows have been opened, or below
    ComfyUI's input folder.

    Raises:
        GoTError: the folder is no such one or holds no dataset, or the picture is outside it or cannot be
            opened.
    """
    from ..got_models.pictures import open_picture

    _check_local(folder)
    full = os.path.abspath(dataset_folder(folder))
    if full not in _opened and not is_in_input_folder(full):
        raise GoTError("Pictures of this folder are shown once its rows have been opened.")
    path = reviewed_folder(folder)
    picture = open_picture(find_picture(path, name))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    content = BytesIO()
    picture.save(content, "JPEG", quality=QUALITY, subsampling=0)
    return content.getvalue()


def reviewed_folder(text: str) -> Path:
    """The folder with a dataset that a user refers to, as in `dataset_folder`.

    Raises:
        GoTError: it holds neither `review.jsonl` nor `data.jsonl`.
    """
    folder = dataset_folder(text)
    if not any(os.path.isfile(folder / file) for file in (REVIEW_FILE, DATA_FILE)):
        raise GoTError(
            f"There is no {REVIEW_FILE} and no {DATA_FILE} in {folder}. Name a folder that GoT Annotate or "
            "you have filled: in ComfyUI's input folder, or a full path."
        )
    return folder


def allow(folder: str) -> None:
    """Lets the page open a folder, wherever it is: a person has run the node with it."""
    _run.add(folder)


def _check_local(folder: str) -> None:
    """
    Raises:
        GoTError: a page asks for a network share or a device, with which the node has not run. To look at one
            would already tell its server who asks.
    """
    if folder not in _run and is_network_or_device(folder):
        raise GoTError(
            f"{short_repr(folder)} is a network path or a device. Run the workflow once: after "
            "that its rows can be opened."
        )


def _open(asked: dict[str, Any]) -> AbstractContextManager[Review | Revision]:
    """The rows that are asked for."""
    _check_local(asked["folder"])
    folder = reviewed_folder(asked["folder"])
    if asked["rows"] not in (DOUBTFUL, ACCEPTED):
        raise GoTError(f"Expected {DOUBTFUL} or {ACCEPTED} rows, received {short_repr(asked['rows'])}.")
    _opened.add(os.path.abspath(folder))
    return review(folder) if asked["rows"] == DOUBTFUL else revision(folder)


def _asked(question: bytes, **kinds: type) -> dict[str, Any]:
    """The question, which has entries of these kinds.

    Raises:
        GoTError: it has not.
    """
    try:
        asked: Any = json.loads(question) if len(question) <= MAX_FILE else None
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or not all(type(asked.get(key)) is kind for key, kind in kinds.items()):
        raise GoTError(f"Expected a question about a dataset, received {short_repr(asked)}.")
    return asked


def _changes(chain: Any, prompts: Any, row: ReviewRow) -> tuple[ReasoningChain | None, list[str] | None]:
    """What the row's chain and prompts are now, without boxes that are switched off; None: as they are.

    Raises:
        GoTError: they are no chain for the row's task, or no prompts.
    """
    if prompts is not None and not (
        isinstance(prompts, list) and all(isinstance(one, str) for one in prompts)
    ):
        raise GoTError(f"Expected prompts, received {short_repr(prompts)}.")
    if chain is None:
        return None, prompts
    given = ReasoningChain.from_json(chain)
    if given.task != ("edit" if row.source else "generate"):
        raise GoTError(f"{row.image} needs a plan for another task than to {given.task}.")
    left = without_switched_off(given)
    return left, prompts and [updated_prompt(prompt, given, left).prompt for prompt in prompts]
