"""The prompts of a distillation: one JSON object a line, each the beginning of one or more plans.

    {"prompt": "a red circle above a blue square"}
    {"prompt": "a red circle above a blue square", "edits": ["remove the red circle"]}
    {"prompt": "make the blue square green", "source": "pictures/01.png"}

`edits` are made, each by itself, to the picture that the teacher draws for the prompt. `source` is a picture
below the file's folder, which the prompt itself edits.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...dataset.rows import Picture, check_picture, read_lines
from ...errors import GoTError, short_repr
from ...mllm.prompts import check_prompt

ENTRIES = ("prompt", "edits", "source")


@dataclass(frozen=True)
class PlanRequest:
    """A plan to make: for a prompt, for an edit of `source`, or of what is drawn for the prompt `drawn`."""

    prompt: str
    source: Picture | None = None
    drawn: str | None = None

    @property
    def task(self) -> str:
        return "generate" if self.source is None and self.drawn is None else "edit"

    @property
    def origin(self) -> list[str | None]:
        """What the plan depends on, besides the checkpoint."""
        return [self.prompt, self.source.digest if self.source else None, self.drawn]


@dataclass(frozen=True)
class Prompts:
    """All plans that a file asks for, in its order."""

    folder: Path
    requests: tuple[PlanRequest, ...]

    @cached_property
    def digest(self) -> str:
        """Depends on the prompts and the sources, and on nothing else."""
        content = json.dumps([request.origin for request in self.requests])
        return hashlib.sha256(content.encode()).hexdigest()


def read_prompts(file: Path) -> Prompts:
    """
    Raises:
        GoTError: the file cannot be read or is empty, or a line is invalid; names the line.
    """
    requests: list[PlanRequest] = []
    for where, values in read_lines(file, strict=True):
        try:
            requests += _requests(values, file.parent)
        except GoTError as error:
            raise GoTError(f"{file}, {where}: {error}") from error
    if not requests:
        raise GoTError(f'{file} holds no prompts. Write one a line, such as {{"prompt": "a red circle"}}.')
    return Prompts(file.parent, tuple(dict.fromkeys(requests)))


def _requests(values: Any, folder: Path) -> list[PlanRequest]:
    if isinstance(values, GoTError):
        raise values
    if not isinstance(values, dict) or "prompt" not in values or values.keys() - {*ENTRIES}:
        raise GoTError(
            f"Expected an object with 'prompt' and, if it has more, {' or '.join(ENTRIES[1:])}; got "
            f"{short_repr(values)}."
        )
    edits = values.get("edits", [])
    if not isinstance(edits, list) or not all(isinstance(edit, str) for edit in edits):
        raise GoTError(f"'edits' must be a list of texts, got {short_repr(edits)}.")
    prompt, source = values["prompt"], values.get("source")
    if not isinstance(prompt, str) or not isinstance(source, (str, type(None))):
        raise GoTError(
            f"'prompt' and 'source' must be texts, got {short_repr(prompt)} and {short_repr(source)}."
        )
    for text in (prompt, *edits):
        check_prompt(text)
    if source is None:
        return [PlanRequest(prompt), *(PlanRequest(edit, drawn=prompt) for edit in edits)]
    if edits:
        raise GoTError("'edits' are made to the picture drawn for a prompt, but this prompt edits a source.")
    return [PlanRequest(prompt, check_picture(folder, source))]
