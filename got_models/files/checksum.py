"""The SHA-256 of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

BLOCK = 1 << 24  # bytes that are hashed at a time


def checksum(file: Path, on_read: Callable[[int], None] = lambda done: None) -> str:
    """The SHA-256 of a file; `on_read` is told how many bytes are done, and what it raises ends it."""
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while block := content.read(BLOCK):
            digest.update(block)
            on_read(content.tell())
    return digest.hexdigest()
