"""Conversion of mask colours to and from other notations."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import ImageColor

from ..details import MAX_COLORS
from ..notation import MASK_COLORS


def hex_color(name: str) -> str:
    """A named colour as "#RRGGBB"."""
    red, green, blue = ImageColor.getrgb(name)[:3]
    return f"#{red:02X}{green:02X}{blue:02X}"


_VISIBLE = 100  # of 255: a mask of a darker colour can hardly be seen on black
_NAMES = {
    hex_color(name): name
    for name in (*ImageColor.colormap, *MASK_COLORS)
    if max(ImageColor.getrgb(name)[:3]) >= _VISIBLE
}


def color_name(palette: Sequence[str]) -> str | None:
    """The mask colour equal to a palette of one colour; None if there is none, or several colours."""
    return _NAMES.get(palette[0].strip().upper()) if len(palette) == 1 else None


def hex_palette(palette: Sequence[str]) -> tuple[str, ...]:
    """The colours of a palette that can be read, as "#RRGGBB"; as many as a box can hold."""
    colors = []
    for color in palette:
        try:
            colors.append(hex_color(color.strip()[:40]))
        except ValueError:
            continue
    return tuple(colors[:MAX_COLORS])
