"""Pictures in rows and columns, with what belongs to each row and column written beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_MARGIN, _CAPTION = 8, 24
_LEAST_SIDE, _MOST_SIDE = 160, 512
"""Of a cell, in pixels."""


def labelled_grid(
    pictures: Sequence[Sequence[Image.Image]],
    columns: Sequence[str],
    rows: Sequence[str],
    captions: Sequence[Sequence[str]],
) -> Image.Image:
    """A white sheet: column titles at the top, row titles at the left, a caption below each picture.

    Args:
        pictures: by row, all of one size.
        captions: by row; may be empty texts.
    """
    first = pictures[0][0]
    scale = min(max(1.0, _LEAST_SIDE / min(first.size)), _MOST_SIDE / max(first.size))
    width, height = (max(1, round(side * scale)) for side in first.size)
    font = ImageFont.load_default(size=16)
    beside = round(max(font.getlength(row) for row in rows)) + 2 * _MARGIN if any(rows) else _MARGIN
    below = _CAPTION if any(map(any, captions)) else 0
    step_x = max(width, *(math.ceil(font.getlength(title)) for title in columns)) + _MARGIN
    step_y = height + _MARGIN + below
    sheet = Image.new("RGB", (beside + len(columns) * step_x, _CAPTION + len(rows) * step_y), "white")
    draw = ImageDraw.Draw(sheet)
    for number, title in enumerate(columns):
        draw.text((beside + number * step_x, 3), title, "black", font)
    for row, (title, cells) in enumerate(zip(rows, pictures, strict=True)):
        top = _CAPTION + row * step_y
        draw.text((_MARGIN, top + height / 2 - 8), title, "black", font)
        for column, picture in enumerate(cells):
            left = beside + column * step_x
            shown = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
            sheet.paste(shown, (left, top))
            draw.text((left, top + height + 2), captions[row][column], "black", font)
    return sheet
