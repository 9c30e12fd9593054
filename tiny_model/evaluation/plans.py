"""Figures about plans."""

from __future__ import annotations

from collections.abc import Sequence

from got_models.chain.chain import ReasoningChain

from ..world.language import Example
from ..world.scoring import score_plan
from .report import Figures, rate


def plan_figures(examples: Sequence[Example], chains: Sequence[ReasoningChain]) -> Figures:
    """How often the plan contains what the caption asks for."""
    scores = [score_plan(chain, example.request) for example, chain in zip(examples, chains, strict=True)]
    related = [
        score.relation_right
        for example, score in zip(examples, scores, strict=True)
        if example.request.relation is not None
    ]
    return {
        "valid": rate([score.valid for score in scores], bar=0.98),
        "objects_right": rate([score.objects_right for score in scores]),
        "relation_right": rate(related),
        "boxes_apart": rate([score.apart for score in scores]),
        "without_warnings": rate([not chain.warnings for chain in chains]),
    }
