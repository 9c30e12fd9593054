"""The SHA-256 of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

BLOCK = 1 << 24  # bytes hashed at a time


def checksum(file: Path, on_read: Callable[[int], None] = lambda done: None) -> str:
    """The SHA-256 of a file; `on_read` receives the bytes read so far, and may raise to stop."""
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while block := content.read(BLOCK):
            digest.update(block)
            on_read(content.tell())
    return digest.hexdigest()
