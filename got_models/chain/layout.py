"""Pictures for people: the plan drawn over a picture, and several pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageColor, ImageDraw, ImageFont

from .chain import ReasoningChain, Region

MIN_LONGER_SIDE = 512  # smaller pictures are enlarged, so that the labels can be read
_EMPTY_GROUND = (32, 32, 32)
_SHEET_PICTURE_HEIGHT = 320
_SHEET_TITLE_HEIGHT = 28
_SHEET_MARGIN = 12
_SHEET_WIDTH = 1400  # as many cells stand side by side as fit into it


def draw_layout(chain: ReasoningChain, picture: Image.Image | None, size: tuple[int, int]) -> Image.Image:
    """The boxes of a chain in their mask colours, each with its phrase, over the picture.

    Args:
        picture: what to draw over; a dark ground where there is none.
        size: (width, height) of the ground when there is no picture.
    """
    if picture is None:
        picture = Image.new("RGB", size, _EMPTY_GROUND)
    enlargement = max(1.0, MIN_LONGER_SIDE / max(picture.size))
    width, height = (round(side * enlargement) for side in picture.size)
    canvas = picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    line = max(2, max(width, height) // 170)
    for region in chain.regions:
        left, top, right, bottom = region.box.to_pixels(width, height)
        halo = (left - line, top - line, right - 1 + line, bottom - 1 + line)
        draw.rectangle(halo, outline="black", width=3 * line)
        color = ImageColor.getrgb(region.color)
        draw.rectangle((left, top, right - 1, bottom - 1), outline=color, width=line)
    for region in chain.regions:  # after all outlines, so that no line runs through a label
        _draw_label(draw, region, (width, height), line)
    return canvas


def beside(*pictures: Image.Image) -> Image.Image:
    """Pictures side by side, all enlarged to the height of the tallest."""
    height = max(picture.height for picture in pictures)
    scaled = [_at_height(picture, height) for picture in pictures]
    row = Image.new("RGB", (sum(picture.width for picture in scaled), height))
    left = 0
    for picture in scaled:
        row.paste(picture, (left, 0))
        left += picture.width
    return row


def above(first: Image.Image, second: Image.Image) -> Image.Image:
    """Two pictures of one size, one above the other."""
    column = Image.new("RGB", (first.width, 2 * first.height))
    column.paste(first, (0, 0))
    column.paste(second, (0, first.height))
    return column


def contact_sheet(rows: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Titled pictures on one white sheet, all at the same height, as many beside each other as fit."""
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


def _draw_label(draw: ImageDraw.ImageDraw, region: Region, size: tuple[int, int], line: int) -> None:
    """The phrase on a tag of the box's colour: above the box, or inside it where there is no room above."""
    width, height = size
    font = ImageFont.load_default(size=max(14, max(size) // 28))
    padding = 2 * line
    text = _fitted(region.phrase or region.color, font, width - 2 * padding)
    _, text_top, _, text_bottom = font.getbbox("Ag")  # the same height for every label
    tag_width = round(font.getlength(text)) + 2 * padding
    tag_height = round(text_bottom - text_top) + 2 * padding
    box_left, box_top, _, _ = region.box.to_pixels(width, height)
    left = max(0, min(box_left, width - tag_width))
    inside = max(0, min(box_top + line, height - tag_height))
    top = box_top - tag_height if box_top >= tag_height else inside
    red, green, blue = color = ImageColor.getrgb(region.color)[:3]
    draw.rectangle((left, top, left + tag_width - 1, top + tag_height - 1), fill=color, outline="black")
    ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 127 else "white"
    draw.text((left + padding, top + padding - text_top), text, fill=ink, font=font)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The text on one line, shortened with an ellipsis until it is at most `width` pixels wide."""
    text = " ".join(text.split())[:200]
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."
