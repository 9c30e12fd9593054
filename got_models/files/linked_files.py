"""Files below a folder, following links: pictures and models are often on another disk."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

MAX_DEPTH = 32
"""Maximum depth of nested folders."""
MAX_PATHS = 4
"""Maximum paths by which a folder is searched, shortest first. All would be too many where folders link to
each other: a million for ten such folders."""


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, sorted by name. Links, and what cannot be read, as in `each_file_below`."""
    return sorted(map(Path, each_file_below(folder)))


def each_file_below(folder: Path) -> Iterator[str]:
    """The path of every file below a folder, one after the other: by folder, and in it sorted by name.

    What cannot be read is skipped. Links are followed, as ComfyUI does when it looks for models: a file is
    listed once for each path to it, up to MAX_PATHS. Links to a parent folder are ignored.
    """
    visits: Counter[str] = Counter()
    waiting: deque[tuple[str, tuple[str, ...]]] = deque([(str(folder), ())])  # with the real parent folders
    while waiting:
        path, above = waiting.popleft()
        here = os.path.realpath(path)
        if here in above or len(above) == MAX_DEPTH or visits[here] == MAX_PATHS:
            continue
        visits[here] += 1
        try:
            names = sorted(os.listdir(path))
        except OSError:
            continue
        for name in names:
            inside = os.path.join(path, name)
            if os.path.isdir(inside):
                waiting.append((inside, (*above, here)))
            elif os.path.isfile(inside):
                yield inside
