"""How well a plan's boxes match those of a row's reference plan."""

from __future__ import annotations

from ..chain.chain import DETERMINERS, ReasoningChain, Region


def layout_iou(expected: ReasoningChain, planned: ReasoningChain) -> float:
    """The mean, over the expected regions, of the IoU with the planned region matched to each.

    Each planned region is matched at most once: first those whose phrases share most words, and among equals
    those that overlap most. An unmatched expected region counts 0; additional planned regions are ignored.

    Raises:
        ValueError: nothing is expected.
    """
    if not expected.regions:
        raise ValueError("The expected plan has no boxes to compare with.")
    pairs = [
        (_shared_words(own, other), own.box.iou(other.box), -place, -rank)
        for place, own in enumerate(expected.regions)
        for rank, other in enumerate(planned.regions)
    ]
    overlaps: dict[int, float] = {}
    given: set[int] = set()
    for _, iou, place, rank in sorted(pairs, reverse=True):
        if place not in overlaps and rank not in given:
            overlaps[place] = iou
            given.add(rank)
    return sum(overlaps.values()) / len(expected.regions)


def _shared_words(first: Region, second: Region) -> float:
    """Share of the words of two phrases, without articles, that both contain."""
    words, others = (set(region.phrase.lower().split()) - DETERMINERS for region in (first, second))
    return len(words & others) / max(1, len(words | others))
