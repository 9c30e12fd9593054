"""A chain as a notation-independent plan: its elements, its prose without them, and its background."""

from __future__ import annotations

import re

from ..chain import GRID, ReasoningChain
from ..characters import SPACES
from ..sentences import SENTENCE_MARK
from .colors import hex_color
from .plan import Element, LayoutPlan

_S = f"[{SPACES}]+"
_PREPOSITION = r"(?:on|in|at|under|against|inside|outside|beneath|during|before|across|along|amid|around)"
_WORD = rf"[^{SPACES}\n,;]+"
_PLACE_FIRST = re.compile(
    rf"{_PREPOSITION}(?:{_S}{_WORD}){{1,12}}?(?=[,;]|{_S}there\b|{_S}(?:stand|sit|lie|hang|is|are)s?\b|\Z)",
    re.ASCII | re.IGNORECASE,
)
_PLACE_LAST = re.compile(
    rf"(?:\A|{_S}){_PREPOSITION}{_S}(?:a|an|the|his|her|its|their)\b.*\Z", re.ASCII | re.DOTALL
)
_OTHER_WORDS = re.compile(r"\b(?:it|them|him|her|itself|one|other|which|that)\b", re.ASCII)


def plan_of(chain: ReasoningChain) -> LayoutPlan:
    """The chain as a plan: boxes as fractions, spans in the prose, lettering and colours.

    The palette of a region without colours of its own is its mask colour.
    """
    prose, done = "", 0
    elements = []
    for region in chain.regions:
        prose += chain.text[done : region.span[0]]
        start = len(prose)
        prose += region.phrase
        box = region.box
        corners = (box.x1 / GRID, box.y1 / GRID, box.x2 / GRID, box.y2 / GRID)
        span = (start, len(prose)) if region.phrase else None
        detail = region.detail
        elements.append(
            Element(
                region.phrase,
                corners,
                kind="text" if detail.text else "obj",
                text=detail.text,
                palette=detail.palette or (hex_color(region.color),),
                span=span,
                detail=detail,
            )
        )
        done = region.span[1]
    return LayoutPlan(tuple(elements), prose + chain.text[done:], chain.prompt)


def background(chain: ReasoningChain) -> str:
    """What the chain says about the picture besides its regions.

    Sentences without a region stay whole. Of others, the words about a place stay, at their beginning or end:
    "On a white background there is a circle" gives "On a white background."
    """
    kept = []
    for start, end in _sentence_spans(chain):
        regions = [region for region in chain.regions if start <= region.span[0] < end]
        if not regions:
            kept.append(chain.text[start:end].strip())
            continue
        before = chain.text[start : regions[0].span[0]].strip()
        after = chain.text[regions[-1].span[1] : end].rstrip(".!?\u3002 ")
        kept += [_sentence(place) for place in (_place_first(before), _place_last(after)) if place]
    phrases = [region.phrase.lower() for region in chain.regions if region.phrase]
    return " ".join(part for part in kept if not any(phrase in part.lower() for phrase in phrases))


def _sentence_spans(chain: ReasoningChain) -> list[tuple[int, int]]:
    """The sentences of a chain's text; a full stop within a region does not end one."""
    spans = []
    start = 0
    for mark in SENTENCE_MARK.finditer(chain.text):
        if any(region.span[0] < mark.end() <= region.span[1] for region in chain.regions):
            continue
        spans.append((start, mark.end()))
        start = mark.end()
    return [*spans, (start, len(chain.text))] if chain.text[start:].strip() else spans


def _place_first(before: str) -> str:
    match = _PLACE_FIRST.match(before)
    return match[0] if match and not _OTHER_WORDS.search(match[0]) else ""


def _place_last(after: str) -> str:
    match = _PLACE_LAST.search(after)
    return match[0].strip() if match and not _OTHER_WORDS.search(match[0]) else ""


def _sentence(words: str) -> str:
    words = words.strip(f"{SPACES},;")
    return f"{words[:1].upper()}{words[1:]}." if words else ""
