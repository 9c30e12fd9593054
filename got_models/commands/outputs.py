"""Writing results: everything or nothing."""

from __future__ import annotations

import errno
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..chain import ReasoningChain
from ..errors import GoTError
from ..layout import draw_layout


@dataclass(frozen=True)
class Drawing:
    """One picture with the chain it obeys and the settings that reproduce it."""

    chain: ReasoningChain
    picture: Image.Image
    settings: dict[str, Any]

    def layout(self) -> Image.Image:
        """The chain's boxes, coloured and labelled, over the picture."""
        return draw_layout(self.chain, self.picture, self.picture.size)

    def files(self) -> dict[str, bytes]:
        """File name -> content; image.png carries the chain and the settings as text."""
        chain = json.dumps(self.chain.to_json(), ensure_ascii=False, indent=2)
        metadata = {"got_chain": json.dumps(self.chain.to_json()), "got_settings": json.dumps(self.settings)}
        return {
            "image.png": png(self.picture, metadata),
            "chain.txt": (self.chain.text + "\n").encode("utf-8"),
            "chain.json": (chain + "\n").encode("utf-8"),
            "layout.png": png(self.layout()),
        }


def png(picture: Image.Image, metadata: Mapping[str, str] | None = None) -> bytes:
    """The picture as PNG, with text chunks: key -> text."""
    information = PngInfo()
    for key, text in (metadata or {}).items():
        information.add_text(key, text)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=information)
    return buffer.getvalue()


def check_writable(folder: Path) -> None:
    """Find out before the work whether ``folder`` can be made and written to; leaves nothing behind.

    Raises:
        GoTError: a file stands in the way, or the place cannot be written to.
    """
    try:
        existing = _existing(folder)
        with tempfile.TemporaryDirectory(dir=existing, prefix=".got-") as beside:
            Path(beside, folder.absolute().relative_to(existing)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files (relative name -> content) under ``folder``, which is made if need be.

    They are completed in a temporary folder first and then moved, so that a full disk leaves no half-written
    result, and no old result is lost to a failed new one.

    Raises:
        GoTError: the folder cannot be written to.
    """
    try:
        with tempfile.TemporaryDirectory(dir=_existing(folder), prefix=".got-") as beside:
            for name, content in files.items():
                target = Path(beside, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            for name in files:
                if (folder / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{name} is a folder there")
            for name in files:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(beside, name), folder / name)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _existing(folder: Path) -> Path:
    """The folder itself or its nearest parent that exists, as a file or a folder."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))


def _unwritable(folder: Path, error: OSError) -> GoTError:
    return GoTError(f"The output folder {folder} cannot be written to: {error.strerror}. Choose another.")
