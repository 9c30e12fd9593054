"""How long a picture takes at each speed and in the published order, in alternation."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from ..constants import EXACT, FAST, FASTEST
from ..diffusion.guidance import Guidance
from ..diffusion.settings import SamplingSettings
from ..pipeline import GoTModel
from ..weights.distilled import own_distilled_adapter
from ..weights.patching import ReversiblePatches
from .measure import PUBLISHED, chains, make_clock
from .reference_pipeline import ReferencePipeline

Seconds = dict[str, list[float]]
"""Of each round, by row: the published order and the speeds."""


def compare_speeds(
    model: GoTModel, rounds: int, size: tuple[int, int], *, processor_time: bool = False
) -> Seconds:
    """Seconds to denoise and decode a picture of size (H, W), after one round that warms up.

    `fastest` is among the rows if the checkpoint has its own distilled adapter. Every round draws another
    plan from another seed, in all rows the same.

    Args:
        processor_time: measure the process's CPU time, which other programs do not affect.
    """
    clock = make_clock(model.parts.unet().device, processor_time)
    rows = [PUBLISHED, EXACT, FAST, *([FASTEST] if own_distilled_adapter(model.path) else [])]
    seconds: Seconds = {row: [] for row in rows}
    for number, chain in enumerate(islice(chains(), rounds + 1)):
        guidance = model.encode(chain, size=size)
        for row in rows:
            with distilled(model, row == FASTEST):
                begin = clock()
                draw(model, guidance, row, number)
                if number:
                    seconds[row].append(clock() - begin)
    return seconds


def draw(model: GoTModel, guidance: Guidance, row: str, seed: int) -> None:
    """Draw a picture as a row says."""
    if row == PUBLISHED:
        settings = SamplingSettings(seed=seed, steps=model.settings.tasks[guidance.task].steps)
        latents = ReferencePipeline(model).sample_latents(guidance, settings)
    else:
        latents = model.sample_latents(guidance, SamplingSettings(seed=seed, speed=row))
    model.decode(latents)


@contextmanager
def distilled(model: GoTModel, really: bool) -> Iterator[None]:
    """Within this context, if `really`, the UNet is changed by the checkpoint's own distilled adapter."""
    adapter = own_distilled_adapter(model.path) if really else None
    patches = ReversiblePatches(model.parts.unet())
    before = model.distilled
    try:
        if adapter is not None:
            patches.apply(adapter.changes("unet", 1.0))
            model.distilled = model.distilled_by(adapter, 1.0)
        yield
    finally:
        patches.restore()
        model.distilled = before


def speed_table(seconds: Seconds) -> str:
    """Medians as text: seconds and pictures per minute of each row, and how many times faster it is."""
    medians = {row: statistics.median(times) for row, times in seconds.items()}
    lines = [f"{'sampling and decoding a picture':34}{'seconds':>10}{'a minute':>10}{'ratio':>9}"]
    for row, median in medians.items():
        name = "published order" if row == PUBLISHED else row
        lines.append(f"{name:34}{median:10.2f}{60 / median:10.1f}{medians[PUBLISHED] / median:9.2f}")
    return "\n".join(lines)
