"""The plan in a saved picture: a text in its PNG file."""

from __future__ import annotations

import json
from pathlib import Path

from .chain.chain import ReasoningChain
from .errors import GoTError
from .files.png import find_text
from .pictures import check_is_file

CHAIN_KEY = "got_chain"


def read_chain(path: Path) -> ReasoningChain:
    """The chain in a PNG that ComfyUI or this library's command line saved.

    Raises:
        GoTError: the file is not a PNG, or holds no readable chain.
    """
    check_is_file(path)
    try:
        text = find_text(path, CHAIN_KEY)
    except (OSError, ValueError) as error:
        raise GoTError(f"Expected a PNG picture, cannot open {path.name}: {error}.") from error
    if text is None:
        raise GoTError(
            f"{path.name} holds no reasoning chain. PNGs that a workflow with SSGM Encode saved do, unless "
            "another program has rewritten them."
        )
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GoTError(f"The reasoning chain in {path.name} is not readable: {error}") from error
    return ReasoningChain.from_json(data)
