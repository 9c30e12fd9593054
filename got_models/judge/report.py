"""A verdict for people: lines of text, and the picture with planned and found boxes."""

from __future__ import annotations

from PIL import Image, ImageDraw

from ..chain.chain import Box, ReasoningChain
from ..chain.layout import draw_layout
from .verdict import Judged, Verdict

_IN_PLACE, _ASTRAY = (80, 255, 120), (255, 70, 70)
_DASHES = 24  # along the longer side of the picture


def summary(verdict: Verdict) -> str:
    """One line: how many objects are in place, and the score."""
    there = sum(judged.in_place for judged in verdict.objects)
    extra = f", {len(verdict.extras)} more found" if verdict.extras else ""
    return f"{there} of {len(verdict.objects)} objects in place{extra}; score {verdict.score:.2f}"


def report(verdict: Verdict) -> str:
    """The summary, then a line for each object, for what is too much, and for each relation that is lost."""
    lines = [summary(verdict)]
    lines += [f"{number}. {_said(judged)}" for number, judged in enumerate(verdict.objects, start=1)]
    lines += [f"not planned: {phrase} at {_corners(box)}" for phrase, box in verdict.extras]
    lines += [
        f"{relation.first.phrase} is not {relation.words} {relation.second.phrase}"
        for relation in verdict.relations
        if not relation.kept and relation.first.found and relation.second.found
    ]
    return "\n".join(lines)


def draw_verdict(chain: ReasoningChain, picture: Image.Image, verdict: Verdict) -> Image.Image:
    """The picture with the plan's boxes and, dashed, what was found: green in place, red elsewhere."""
    canvas = draw_layout(chain, picture, picture.size)
    draw = ImageDraw.Draw(canvas)
    for judged in verdict.objects:
        if judged.found:
            _dashed(draw, judged.found.to_pixels(*canvas.size), _IN_PLACE if judged.in_place else _ASTRAY)
    for _, box in verdict.extras:
        _dashed(draw, box.to_pixels(*canvas.size), _ASTRAY)
    return canvas


def _said(judged: Judged) -> str:
    if not judged.found:
        return f"{judged.phrase}: not found"
    where = "in place" if judged.in_place else f"out of place, at {_corners(judged.found)}"
    return f"{judged.phrase}: {where} (overlap {judged.overlap:.2f})"


def _corners(box: Box) -> str:
    return f"({box.x1},{box.y1}),({box.x2},{box.y2})"


def _dashed(draw: ImageDraw.ImageDraw, edges: tuple[int, int, int, int], color: tuple[int, int, int]) -> None:
    """A rectangle of dashes, on black so that they are seen on every picture."""
    left, top, right, bottom = edges[0], edges[1], edges[2] - 1, edges[3] - 1
    longer = max(draw.im.size)
    dash, line = max(4, longer // (2 * _DASHES)), max(2, longer // 300)
    for start, end in (
        ((left, top), (right, top)),
        ((right, top), (right, bottom)),
        ((right, bottom), (left, bottom)),
        ((left, bottom), (left, top)),
    ):
        draw.line((*start, *end), "black", 3 * line)
        length = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for offset in range(0, length, 2 * dash):
            a, b = (min(distance, length) / length for distance in (offset, offset + dash))
            points = [
                one + share * (other - one) for share in (a, b) for one, other in zip(start, end, strict=True)
            ]
            draw.line(points, color, line)
