"""Files below a folder, also behind links: pictures and models often lie on another disk."""

from __future__ import annotations

import os
from pathlib import Path

DEEPEST = 32
"""So many folders below one another are looked through."""


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, in the order of their names; what cannot be read is left out.

    Links are followed, as ComfyUI does when it looks for models: a file has a name for each way that leads to
    it. A link to a folder above it leads nowhere.
    """
    return sorted(path for path in _below(str(folder), ()))


def _below(folder: str, above: tuple[str, ...]) -> list[Path]:
    """`above`: the real paths of the folders that lead here."""
    here = os.path.realpath(folder)
    if here in above or len(above) == DEEPEST:
        return []
    try:
        paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:
        return []
    found = [Path(path) for path in paths if os.path.isfile(path)]
    for path in paths:
        if os.path.isdir(path):
            found += _below(path, (*above, here))
    return found
