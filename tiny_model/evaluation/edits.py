"""Figures about edits."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from PIL import Image

from got_models.chain.chain import ReasoningChain

from ..world.language import Example
from ..world.scoring import score_edit
from .report import Figures, rate


def edit_figures(
    examples: Sequence[Example],
    chains: Sequence[ReasoningChain],
    sources: Sequence[Image.Image],
    results: Sequence[Image.Image],
) -> Figures:
    """How often the edit was made and how little changed elsewhere, overall and by kind of edit.

    The results are the model's raw output: the source is not restored outside the boxes.
    """
    rows = zip(examples, chains, sources, results, strict=True)
    scores = [(row[0].kind, score_edit(*row)) for row in rows]

    def figures_of(chosen: Sequence[Any], bars: tuple[float | None, float | None]) -> Figures:
        psnr = statistics.median(score.psnr for score in chosen)
        return {
            "happened": rate([score.happened for score in chosen], bars[0]),
            "median_psnr_outside": {"value": psnr, "count": len(chosen), "bar": bars[1]},
        }

    figures = figures_of([score for _, score in scores], (0.92, 34.0))
    for kind in sorted({kind for kind, _ in scores}):
        figures[kind] = figures_of([score for other, score in scores if other == kind], (None, None))
    return figures
