"""A folder with pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures, some of them with something wrong."""
    folder = tmp_path / "dataset"
    (folder / "old").mkdir(parents=True)
    Image.new("RGB", (120, 80), "red").save(folder / "cup.png")
    Image.new("RGB", (60, 40), "blue").save(folder / "old" / "cup.png")
    Image.new("RGB", (80, 80), "blue").save(folder / "square.png")
    Image.new("RGB", (500, 100), "blue").save(folder / "long.png")
    Image.new("RGB", (10, 10)).save(tmp_path / "outside.png")
    content = (folder / "cup.png").read_bytes()
    (folder / "half.png").write_bytes(content[: len(content) // 2])
    (folder / "text.png").write_text("no picture")
    return folder
