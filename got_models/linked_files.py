"""Files below a folder, also behind links: pictures and models often lie on another disk."""

from __future__ import annotations

import os
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, in the order of their names; what cannot be read is left out.

    Links are followed, as ComfyUI does when it looks for models. A folder to which several ways lead is seen
    once, so that a link to a folder above it does no harm.
    """
    found: list[Path] = []
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found += [Path(place, name) for name in names]
    return sorted(file for file in found if os.path.isfile(file))
