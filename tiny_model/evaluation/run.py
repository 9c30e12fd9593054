"""How well a checkpoint follows prompts: held-out prompts, end to end, scored from boxes and pixels."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from got_models.chain.chain import ReasoningChain
from got_models.chain.layout import draw_layout, side_by_side
from got_models.diffusion.guidance import Guidance
from got_models.diffusion.settings import SAMPLING_DEFAULTS, GuidanceScales, SamplingSettings
from got_models.pipeline import GoTModel

from ..world.disagreements import CHANGES, changed_plan
from ..world.edits import sample_edit
from ..world.language import Example, sample_generation
from ..world.scoring import score_edit
from .batches import Batches
from .edits import edit_figures
from .geneval import geneval_figures
from .looking import drawn_figures, looking_figures, sample_shown
from .pictures import (
    Move,
    follows,
    move_figures,
    obeyed,
    obeys,
    picture_figures,
    position_figures,
    sample_move,
    unseen_figures,
)
from .plans import plan_figures
from .report import SHEET_ROWS, Figures, Row, failed_rows, plan_row, table, write_results

ABLATION_PROMPTS = 200


def evaluate(
    model: GoTModel,
    n: int = 500,
    ablate: bool = False,
    out: Path = Path("evaluation"),
    seed: int = 0,
    batch_size: int = 25,
    sampling: SamplingSettings = SAMPLING_DEFAULTS,
) -> Figures:
    """Evaluate a checkpoint on held-out prompts; print figures, write them with a contact sheet and failures.

    Args:
        n: number of held-out captions, and of pictures to look at; of captions with a never-seen
            colour-shape pair, moved boxes, and edits of each layout three fifths as many, of changed plans
            of each kind a fifth.
        ablate: also draw without the chain, and without spatial guidance, for the first 200 captions or so.
        out: folder for the results; created if missing.
        seed: for the prompts and the noise.
        batch_size: prompts or pictures at a time.
        sampling: speed, or steps and scheduler, where they are not the checkpoint's own.
    """
    evaluation = Evaluation(Batches(model, batch_size, seed, sampling), random.Random(seed), n)
    figures: Figures = {"n": n, "seed": seed, "checkpoint": str(model.path)}
    seconds: dict[str, float] = {}
    sections = {
        "looking": evaluation.looking,
        "plans": evaluation.plans,
        "pictures": evaluation.pictures,
        "looking_at_drawn": evaluation.looking_at_drawn,
        "geneval_classes": evaluation.geneval_classes,
        "never_seen_pairs": evaluation.never_seen_pairs,
        "moved_boxes": evaluation.moved_boxes,
        "changed_plans": evaluation.changed_plans,
        "edits": evaluation.edits,
        "edits_anywhere": evaluation.edits_anywhere,
    }
    if ablate:
        sections["ablation"] = evaluation.ablation
    for name, section in sections.items():
        with timed(name.replace("_", " "), seconds):
            figures[name] = section()
    figures["seconds"] = {name: round(value, 1) for name, value in seconds.items()}
    print(table(figures))  # first, since the disk may be full
    sheet = [
        plan_row(*drawn) for drawn in zip(evaluation.chains[:SHEET_ROWS], evaluation.drawn, strict=False)
    ]
    write_results(out, figures, sheet, evaluation.failures)
    return figures


class Evaluation:
    """One section of figures after the other, on prompts from one stream of random numbers.

    ``failures``: sheet rows of what went wrong.
    """

    def __init__(self, at_work: Batches, rng: random.Random, n: int) -> None:
        self.at_work = at_work
        self.rng = rng
        self.n = n
        self.fewer = max(1, 3 * n // 5)
        self.failures: list[Row] = []

    def looking(self) -> Figures:
        return looking_figures(self.at_work, sample_shown(self.rng, self.n))

    def plans(self) -> Figures:
        self.examples = [sample_generation(self.rng, evaluation=True) for _ in range(self.n)]
        self.chains = self.at_work.reason(self.examples)
        return plan_figures(self.examples, self.chains)

    def pictures(self) -> Figures:
        self.guidances = self.at_work.encode(self.chains)
        self.drawn = self.at_work.sample(self.guidances, "pictures")
        self.failures += failed_rows(self.examples, self.chains, self.drawn)
        return picture_figures(self.examples, self.chains, self.drawn)

    def looking_at_drawn(self) -> Figures:
        return drawn_figures(self.at_work, self.drawn)

    def geneval_classes(self) -> Figures:
        return geneval_figures(self.examples, self.drawn)

    def never_seen_pairs(self) -> Figures:
        unseen = [sample_generation(self.rng, "unseen", evaluation=True) for _ in range(self.fewer)]
        chains = self.at_work.reason(unseen)
        drawn = self.at_work.sample(self.at_work.encode(chains), "never-seen pairs")
        self.failures += failed_rows(unseen, chains, drawn)
        return unseen_figures(unseen, chains, drawn)

    def moved_boxes(self) -> Figures:
        moves = [move for chain in self.chains[: self.fewer] if (move := sample_move(self.rng, chain))]
        drawn = self.at_work.sample(self.at_work.encode([move.after for move in moves]), "moved boxes")
        self.failures += failed_moves(moves, drawn)
        return move_figures(moves, drawn)

    def changed_plans(self) -> Figures:
        """Of plans that differ from their prompts in one object or the background, by kind of change."""
        figures: Figures = {}
        for change in CHANGES:
            count = max(1, self.n // 5)
            rows = [changed_plan(self.rng, change, evaluation=True) for _ in range(count)]
            chains = [row.chain for row in rows]
            drawn = self.at_work.sample(self.at_work.encode(chains), f"changed plans: {change}")
            figures[change] = obeyed(rows, drawn)
            self.failures += [
                plan_row(row.chain, picture, f"{change}: ")
                for row, picture in zip(rows, drawn, strict=True)
                if not obeys(row, picture)
            ]
        return figures

    def edits(self) -> Figures:
        """Of pictures with one thing to a quarter."""
        return self._edits([sample_edit(self.rng, evaluation=True) for _ in range(self.fewer)])

    def edits_anywhere(self) -> Figures:
        """Of pictures with things of any size anywhere, in any tones and looks."""
        return self._edits(
            [
                sample_edit(self.rng, evaluation=True, layout="anywhere", varied=True)
                for _ in range(self.fewer)
            ]
        )

    def _edits(self, examples: list[Example]) -> Figures:
        sources = [edit.look.draw(edit.source) for edit in examples if edit.source is not None]
        chains = self.at_work.reason(examples, sources)
        results = self.at_work.sample(self.at_work.encode(chains, sources), "edits")
        self.failures += failed_edits(examples, chains, sources, results)
        return edit_figures(examples, chains, sources, results)

    def ablation(self) -> Figures:
        part = slice(self.at_work.size * math.ceil(ABLATION_PROMPTS / self.at_work.size))  # whole batches
        full = self.guidances[part], self.drawn[part]
        return ablation(self.at_work, self.examples[part], self.chains[part], *full)


def failed_moves(moves: Sequence[Move], pictures: Sequence[Image.Image]) -> list[Row]:
    """The pictures that did not follow a moved box, for failures.png."""
    return [
        plan_row(move.after, picture, f"moved box {move.index + 1}: ")
        for move, picture in zip(moves, pictures, strict=True)
        if not follows(move, picture)
    ]


def failed_edits(
    edits: Sequence[Example],
    chains: Sequence[ReasoningChain],
    sources: Sequence[Image.Image],
    results: Sequence[Image.Image],
) -> list[Row]:
    """The edits that were not made, for failures.png: source, plan and result side by side."""
    rows = []
    for example, chain, source, result in zip(edits, chains, sources, results, strict=True):
        if not score_edit(example, chain, source, result).happened:
            plan = draw_layout(chain, source, source.size)
            rows.append((f"{example.kind}: {example.prompt}", side_by_side(source, plan, result)))
    return rows


def ablation(
    at_work: Batches,
    examples: Sequence[Example],
    chains: Sequence[ReasoningChain],
    guidances: Sequence[Guidance],
    full: Sequence[Image.Image],
) -> Figures:
    """The rows of paper Table 3 on the same prompts and noise: no chain, no spatial guidance, full.

    "No chain" reads the prompt and an empty chain. ``full`` are the pictures drawn with the complete
    ``guidances``.
    """
    scales = at_work.model.default_scales("generate")
    flat = GuidanceScales(scales.semantic, 0.0, scales.reference)
    empty = [ReasoningChain.read("", chain.task, chain.prompt) for chain in chains]
    no_chain = at_work.sample(at_work.encode(empty), "without the chain", flat)
    no_spatial = at_work.sample(guidances, "without spatial guidance", flat)
    drawn = {"no_chain": no_chain, "no_spatial_guidance": no_spatial, "full": full}
    return {name: position_figures(examples, chains, pictures) for name, pictures in drawn.items()}


# --- results --------------------------------------------------------------------------------------


@contextmanager
def timed(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Records the wall-clock seconds of a block."""
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
