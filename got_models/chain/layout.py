"""Pictures for people: a plan drawn over a picture, and several pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageColor, ImageDraw, ImageFont

from .chain import ReasoningChain
from .label_places import Rectangle, Wanted, place_labels

MIN_LONGER_SIDE = 512  # smaller pictures are enlarged so that the labels are legible
_EMPTY_GROUND = (32, 32, 32)
_TAG = (16, 16, 16)
_LONGEST_LABEL = 0.45  # of the picture's longer side
_SHEET_PICTURE_HEIGHT = 320
_SHEET_TITLE_HEIGHT = 28
_SHEET_MARGIN = 12
_SHEET_WIDTH = 1400  # pixels


def draw_layout(chain: ReasoningChain, picture: Image.Image | None, size: tuple[int, int]) -> Image.Image:
    """The boxes of a chain over the picture, in their mask colours, each with its number and phrase.

    Boxes are numbered in the order of the text. Labels are placed next to the objects without overlapping;
    where there is no space for the phrase, the number is shown alone.

    Args:
        picture: the picture to draw over; None draws on a dark background.
        size: (width, height) of the background when there is no picture.
    """
    if picture is None:
        picture = Image.new("RGB", size, _EMPTY_GROUND)
    enlargement = max(1.0, MIN_LONGER_SIDE / max(picture.size))
    width, height = (round(side * enlargement) for side in picture.size)
    canvas = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    line = max(2, max(width, height) // 400)
    boxes = [Rectangle(*region.box.to_pixels(width, height)) for region in chain.regions]
    for region, box in zip(chain.regions, boxes, strict=True):
        left, top, right, bottom = box.left, box.top, box.right - 1, box.bottom - 1
        draw.rectangle(
            (left - line, top - line, right + line, bottom + line), outline="black", width=3 * line
        )
        draw.rectangle((left, top, right, bottom), outline=ImageColor.getrgb(region.color), width=line)
    _draw_labels(draw, chain, boxes, (width, height))  # after all outlines: no line runs through a label
    return canvas


def side_by_side(*pictures: Image.Image) -> Image.Image:
    """Pictures side by side, all enlarged to the height of the tallest."""
    height = max(picture.height for picture in pictures)
    scaled = [_at_height(picture, height) for picture in pictures]
    row = Image.new("RGB", (sum(picture.width for picture in scaled), height))
    left = 0
    for picture in scaled:
        row.paste(picture, (left, 0))
        left += picture.width
    return row


def stacked(first: Image.Image, second: Image.Image) -> Image.Image:
    """Two pictures of the same size, one above the other."""
    column = Image.new("RGB", (first.width, 2 * first.height))
    column.paste(first, (0, 0))
    column.paste(second, (0, first.height))
    return column


def contact_sheet(rows: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Titled pictures on one white sheet, all at the same height, as many per row as fit."""
    font = ImageFont.load_default(size=16)
    pictures = [_at_height(picture, _SHEET_PICTURE_HEIGHT) for _, picture in rows]
    cell_width = max((picture.width for picture in pictures), default=_SHEET_PICTURE_HEIGHT)
    step_x = cell_width + _SHEET_MARGIN
    step_y = _SHEET_TITLE_HEIGHT + _SHEET_PICTURE_HEIGHT + _SHEET_MARGIN
    columns = min(max(1, (_SHEET_WIDTH - _SHEET_MARGIN) // step_x), max(1, len(rows)))
    lines = -(-len(rows) // columns)
    size = (columns * step_x + _SHEET_MARGIN, lines * step_y + _SHEET_MARGIN)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for index, ((title, _), picture) in enumerate(zip(rows, pictures, strict=True)):
        x = _SHEET_MARGIN + index % columns * step_x
        y = _SHEET_MARGIN + index // columns * step_y
        draw.text((x, y), _fitted(title, font, cell_width), fill="black", font=font)
        sheet.paste(picture, (x, y + _SHEET_TITLE_HEIGHT))
    return sheet


def _at_height(picture: Image.Image, height: int) -> Image.Image:
    width = max(1, round(picture.width * height / picture.height))
    return picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)


def _draw_labels(
    draw: ImageDraw.ImageDraw, chain: ReasoningChain, boxes: list[Rectangle], size: tuple[int, int]
) -> None:
    """Each box's number and phrase, in white on a dark tag."""
    font = ImageFont.load_default(size=max(13, max(size) // 44))
    padding = max(4, max(size) // 128)
    _, text_top, _, text_bottom = font.getbbox("Ag")  # the same height for every label
    height = round(text_bottom - text_top) + padding
    numbers = [str(number) for number in range(1, len(boxes) + 1)]
    most = max(size) * _LONGEST_LABEL
    words = [
        _fitted(f"{number} {region.phrase or region.color}", font, most)
        for number, region in zip(numbers, chain.regions, strict=True)
    ]

    def width(text: str) -> int:
        return round(font.getlength(text)) + 2 * padding

    wanted = [
        Wanted(box, width(full), width(short)) for box, full, short in zip(boxes, words, numbers, strict=True)
    ]
    for place, full, short in zip(place_labels(wanted, size, height), words, numbers, strict=True):
        tag = place.rectangle
        draw.rectangle((tag.left, tag.top, tag.right - 1, tag.bottom - 1), fill=_TAG)
        start = (tag.left + padding, tag.top + padding // 2 - text_top)
        draw.text(start, short if place.short else full, fill="white", font=font)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The text on one line, shortened with an ellipsis until it is at most `width` pixels wide."""
    text = " ".join(text.split())[:200]
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."
