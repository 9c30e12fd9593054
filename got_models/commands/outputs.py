"""The files that a command writes for a picture: the picture, its chain and its layout."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..chain.chain import ReasoningChain
from ..chain.layout import draw_layout
from ..saved_plans import CHAIN_KEY


@dataclass(frozen=True)
class Drawing:
    """One picture with its chain and the settings that reproduce it."""

    chain: ReasoningChain
    picture: Image.Image
    settings: dict[str, Any]

    def layout(self) -> Image.Image:
        """The chain's boxes, coloured and labelled, over the picture."""
        return draw_layout(self.chain, self.picture, self.picture.size)

    def files(self) -> dict[str, bytes]:
        """File name -> content; image.png carries the chain and the settings as text."""
        chain = json.dumps(self.chain.to_json(), ensure_ascii=False, indent=2)
        metadata = {CHAIN_KEY: json.dumps(self.chain.to_json()), "got_settings": json.dumps(self.settings)}
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
