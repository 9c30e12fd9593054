"""A verdict for people: lines of text, and the picture with planned and found boxes."""

from __future__ import annotations

from PIL import Image, ImageDraw

from ..chain.chain import Box, ReasoningChain
from ..chain.layout import draw_layout
from .verdict import MOST_CHANGED, Judged, Verdict

_IN_PLACE, _ASTRAY, _DOUBTFUL = (80, 255, 120), (255, 70, 70), (255, 200, 60)
_DASHES = 24  # along the longer side of the picture


def summary(verdict: Verdict) -> str:
    """One line: how many objects are as planned, and the score."""
    there = sum(judged.in_place and judged.label is None for judged in verdict.objects)
    words = "in place" if all(judged.there for judged in verdict.objects) else "as planned"
    counted = len(verdict.objects) + len(verdict.unclear)
    extra = f", {len(verdict.extras)} more found" if verdict.extras else ""
    return f"{there} of {counted} objects {words}{extra}; score {verdict.score:.2f}"


def report(verdict: Verdict) -> str:
    """The summary, then a line for each object, for what is too much, and for each relation that is lost."""
    lines = [summary(verdict)]
    lines += [f"{number}. {_said(judged)}" for number, judged in enumerate(verdict.objects, start=1)]
    lines += [f"{phrase}: the plan does not say what becomes of it" for phrase in verdict.unclear]
    lines += [f"not planned: {phrase} at {_corners(box)}" for phrase, box in verdict.extras]
    lines += [
        f"{relation.first.phrase} is not {relation.words} {relation.second.phrase}"
        for relation in verdict.relations
        if not relation.kept and relation.first.found and relation.second.found
    ]
    if verdict.changed_outside is not None:
        kept = "" if verdict.changed_outside <= MOST_CHANGED else ": more than the plan asks for"
        lines.append(f"outside the boxes {verdict.changed_outside:.1%} of the picture has changed{kept}")
    return "\n".join(lines)


def draw_verdict(chain: ReasoningChain, picture: Image.Image, verdict: Verdict) -> Image.Image:
    """The picture with the plan's boxes and, dashed, what was found.

    Green in place, red elsewhere or where it is to be gone, amber in doubt.
    """
    canvas = draw_layout(chain, picture, picture.size)
    draw = ImageDraw.Draw(canvas)
    for judged in verdict.objects:
        if judged.found and (judged.there or not judged.in_place):
            color = _DOUBTFUL if judged.label is not None else _IN_PLACE if judged.in_place else _ASTRAY
            _dashed(draw, judged.found.to_pixels(*canvas.size), color)
    for _, box in verdict.extras:
        _dashed(draw, box.to_pixels(*canvas.size), _ASTRAY)
    return canvas


def _said(judged: Judged) -> str:
    if not judged.found:
        return f"{judged.phrase}: {'not found' if judged.there else 'gone'}"
    if judged.label is not None:
        called = f'called "{judged.label}"' if judged.label else "without a name"
        return (
            f"{judged.phrase}: cannot be told, because what was found at {_corners(judged.found)} is "
            f"{called} and may be another object of the plan"
        )
    if not judged.there:
        return (
            f"{judged.phrase}: {'gone' if judged.in_place else 'still there'} (overlap {judged.overlap:.2f})"
        )
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
