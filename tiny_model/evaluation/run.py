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
from got_models.diffusion.settings import GuidanceScales
from got_models.pipeline import GoTModel

from ..world.edits import sample_edit
from ..world.language import Example, sample_generation
from ..world.scene import draw
from ..world.scoring import score_edit
from .batches import Batches
from .edits import edit_figures
from .pictures import (
    Move,
    follows,
    move_figures,
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
) -> Figures:
    """Evaluate a checkpoint on held-out prompts; print figures, write them with a contact sheet and failures.

    Args:
        n: number of held-out captions; of moved boxes and edits half as many, of captions with a never-seen
            colour-shape pair a fifth (at least 50, but no more than n).
        ablate: also draw without the chain, and without spatial guidance, for the first 200 captions or so.
        out: folder for the results; created if missing.
        seed: for the prompts and the noise.
        batch_size: prompts or pictures at a time.
    """
    rng = random.Random(seed)
    at_work = Batches(model, batch_size, seed)
    figures: Figures = {"n": n, "seed": seed, "checkpoint": str(model.path)}
    seconds: dict[str, float] = {}
    failures: list[Row] = []
    with timed("plans", seconds):
        examples = [sample_generation(rng, evaluation=True) for _ in range(n)]
        chains = at_work.reason(examples)
        figures["plans"] = plan_figures(examples, chains)
    with timed("pictures", seconds):
        pictures = at_work.sample(guidances := at_work.encode(chains), "pictures")
        figures["pictures"] = picture_figures(examples, chains, pictures)
        failures += failed_rows(examples, chains, pictures)
    with timed("never-seen pairs", seconds):
        count = min(n, max(50, n // 5))
        unseen = [sample_generation(rng, pairs="unseen", evaluation=True) for _ in range(count)]
        unseen_chains = at_work.reason(unseen)
        drawn = at_work.sample(at_work.encode(unseen_chains), "never-seen pairs")
        figures["never_seen_pairs"] = unseen_figures(unseen, unseen_chains, drawn)
        failures += failed_rows(unseen, unseen_chains, drawn)
    with timed("moved boxes", seconds):
        moves = [move for chain in chains[: max(1, n // 2)] if (move := sample_move(rng, chain))]
        moved_pictures = at_work.sample(at_work.encode([move.after for move in moves]), "moved boxes")
        figures["moved_boxes"] = move_figures(moves, moved_pictures)
        failures += failed_moves(moves, moved_pictures)
    with timed("edits", seconds):
        edits = [sample_edit(rng, evaluation=True) for _ in range(max(1, n // 2))]
        sources = [draw(edit.source) for edit in edits if edit.source is not None]
        edit_chains = at_work.reason(edits, sources)
        results = at_work.sample(at_work.encode(edit_chains, sources), "edits")
        figures["edits"] = edit_figures(edits, edit_chains, sources, results)
        failures += failed_edits(edits, edit_chains, sources, results)
    if ablate:
        with timed("ablation", seconds):
            part = slice(batch_size * math.ceil(ABLATION_PROMPTS / batch_size))  # whole batches
            whole = guidances[part], pictures[part]
            figures["ablation"] = ablation(at_work, examples[part], chains[part], *whole)

    figures["seconds"] = {name: round(value, 1) for name, value in seconds.items()}
    print(table(figures))  # first, since the disk may be full
    sheet = [plan_row(*drawn) for drawn in zip(chains[:SHEET_ROWS], pictures, strict=False)]
    write_results(out, figures, sheet, failures)
    return figures


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
