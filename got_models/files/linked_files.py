"""Files below a folder, following links: pictures and models are often on another disk."""

from __future__ import annotations

import os
from collections import Counter, deque
from pathlib import Path

MAX_DEPTH = 32
"""Maximum depth of nested folders."""
MAX_PATHS = 4
"""Maximum paths by which a folder is searched, shortest first. All would be too many where folders link to
each other: a million for ten such folders."""


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted by name; what cannot be read is skipped.

    Links are followed, as ComfyUI does when it looks for models: a file is listed once for each path to
    it, up to MAX_PATHS. Links to a parent folder are ignored.
    """
    found: list[Path] = []
    visits: Counter[str] = Counter()
    waiting: deque[tuple[str, tuple[str, ...]]] = deque([(str(folder), ())])  # with the real parent folders
    while waiting:
        path, above = waiting.popleft()
        here = os.path.realpath(path)
        if here in above or len(above) == MAX_DEPTH or visits[here] == MAX_PATHS:
            continue
        visits[here] += 1
        try:
            paths = [os.path.join(path, name) for name in sorted(os.listdir(path))]
        except OSError:
            continue
        found += [Path(inside) for inside in paths if os.path.isfile(inside)]
        waiting += [(inside, (*above, here)) for inside in paths if os.path.isdir(inside)]
    return sorted(found)
