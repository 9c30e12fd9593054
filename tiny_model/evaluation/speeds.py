"""How well pictures obey at each speed, and how long they take."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

from got_models.bench.speeds import distilled
from got_models.constants import EXACT, FAST, FASTEST
from got_models.diffusion.settings import SamplingSettings
from got_models.pipeline import GoTModel
from got_models.weights.distilled import own_distilled_adapter

from ..world.edits import sample_edit
from ..world.language import sample_generation
from .batches import Batches
from .edits import edit_figures
from .pictures import move_figures, picture_figures, sample_move, unseen_figures
from .report import Figures, table, write_results


def evaluate_speeds(
    model: GoTModel, n: int, out: Path, seed: int = 0, batch_size: int = 25, speeds: Sequence[str] = ()
) -> Figures:
    """Draw the same plans at each speed; print figures and write them.

    Args:
        n: number of captions, of those with never-seen pairs, of moved boxes and of edits, with true plans.
        seed: for the prompts and for the noise, the same at every speed.
        speeds: by default all that the checkpoint has.
    """
    rng = random.Random(f"speeds {seed}")
    seen = [sample_generation(rng, evaluation=True) for _ in range(n)]
    unseen = [sample_generation(rng, "unseen", evaluation=True) for _ in range(n)]
    moves = [move for example in seen if (move := sample_move(rng, example.chain))]
    edits = [sample_edit(rng, evaluation=True, layout="anywhere", varied=True) for _ in range(n)]
    sources = [edit.look.draw(edit.source) for edit in edits if edit.source is not None]
    at_work = Batches(model, batch_size, seed)
    plans = {
        "seen": at_work.encode([example.chain for example in seen]),
        "unseen": at_work.encode([example.chain for example in unseen]),
        "moved": at_work.encode([move.after for move in moves]),
        "edits": at_work.encode([edit.chain for edit in edits], sources),
    }
    figures: Figures = {"n": n, "seed": seed, "checkpoint": str(model.path)}
    own = (EXACT, FAST, *([FASTEST] if own_distilled_adapter(model.path) else []))
    for speed in speeds or own:
        drawing = Batches(model, batch_size, seed, SamplingSettings(speed=speed))
        begin = time.process_time()
        with distilled(model, speed == FASTEST):
            drawn = {name: drawing.sample(guidances, f"{speed} {name}") for name, guidances in plans.items()}
        count = sum(map(len, drawn.values()))
        figures[speed] = {
            "pictures": picture_figures(seen, [example.chain for example in seen], drawn["seen"]),
            "never_seen_pairs": unseen_figures(
                unseen, [example.chain for example in unseen], drawn["unseen"]
            ),
            "moved_boxes": move_figures(moves, drawn["moved"]),
            "edits_anywhere": edit_figures(edits, [edit.chain for edit in edits], sources, drawn["edits"]),
            "pictures_a_minute": round(60 * count / (time.process_time() - begin), 1),
        }
    print(table(figures))
    write_results(out, figures, [], [])
    return figures
