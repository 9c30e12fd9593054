"""Reading the chains that a user gives."""

from __future__ import annotations

from pathlib import Path

from ..chain import ReasoningChain
from ..errors import GoTError

LARGEST_CHAIN_FILE = 1_000_000  # bytes


def read_chain(path: Path, task: str, prompt: str) -> ReasoningChain:
    """A user's own chain; ``prompt`` takes the place of the one in a chain.json.

    Raises:
        GoTError: the file is too large, or `ReasoningChain.load` refuses it.
    """
    if path.is_file() and path.stat().st_size > LARGEST_CHAIN_FILE:
        raise GoTError(f"A chain file may have {LARGEST_CHAIN_FILE} bytes, {path} has {path.stat().st_size}.")
    return ReasoningChain.load(path, task, prompt)
