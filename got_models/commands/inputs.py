"""Reading the user's chains, and printing remarks on any chain."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ..chain.chain import ReasoningChain
from ..errors import printable


def read_chain(path: Path, task: str, prompt: str) -> ReasoningChain:
    """A user's own chain, with its warnings on stderr; ``prompt`` replaces the one in a chain.json.

    Raises:
        GoTError: `ReasoningChain.load` rejects it.
    """
    chain = ReasoningChain.load(path, task, prompt)
    print_warnings(chain)
    return chain


def print_warnings(chain: ReasoningChain) -> None:
    """Print on stderr what could not be parsed."""
    print_notes(chain.brief_warnings())


def print_notes(sentences: Sequence[str]) -> None:
    """Print remarks on a plan or a picture on stderr."""
    for sentence in sentences:
        print(f"warning: {printable(sentence)}", file=sys.stderr)
