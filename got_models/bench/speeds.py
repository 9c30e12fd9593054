"""How long a picture takes at each speed and in the published order, in alternation."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

from PIL import Image

from ..constants import EXACT, FAST, FASTEST
from ..diffusion.guidance import Guidance
from ..diffusion.settings import SamplingSettings
from ..pipeline import GoTModel
from ..weights.distilled import own_distilled_adapter
from ..weights.patching import ReversiblePatches
from .measure import PUBLISHED, chains, make_clock
from .reference_pipeline import ReferencePipeline

TASKS = {"generate": "a picture", "edit": "an edit"}
STAGES = ("sampling", "decoding")
Seconds = dict[str, dict[str, list[dict[str, float]]]]
"""By task and row, which are the published order and the speeds: seconds of each stage in each round."""


def compare_speeds(
    model: GoTModel, rounds: int, size: tuple[int, int], *, processor_time: bool = False
) -> Seconds:
    """Seconds to denoise and decode a picture of size (H, W), and an edit, after a round that warms up.

    `fastest` is among the rows if the checkpoint has its own distilled adapter. Every round draws another
    plan from another seed, in all rows the same; an edit follows the same plan over a gray picture.

    Args:
        processor_time: measure the process's CPU time, which other programs do not affect.
    """
    clock = make_clock(model.parts.unet().device, processor_time)
    rows = [PUBLISHED, EXACT, FAST, *([FASTEST] if own_distilled_adapter(model.path) else [])]
    seconds: Seconds = {task: {row: [] for row in rows} for task in TASKS}
    published = ReferencePipeline(model)
    height, width = size
    source = Image.new("RGB", (width, height), "gray")
    for number, chain in enumerate(islice(chains(), rounds + 1)):
        for task in TASKS:
            reference = source if task == "edit" else None
            guidance = model.encode(replace(chain, task=task), reference, size=size)
            for row in rows:
                with distilled(model, row == FASTEST):
                    pipeline = published if row == PUBLISHED else model
                    times = draw(pipeline, guidance, settings_of(model, task, row, number), clock)
                if number:
                    seconds[task][row].append(times)
    return seconds


def settings_of(model: GoTModel, task: str, row: str, seed: int) -> SamplingSettings:
    """How a row is drawn."""
    if row == PUBLISHED:
        return SamplingSettings(seed=seed, steps=model.settings.tasks[task].steps)
    return SamplingSettings(seed=seed, speed=row)


def draw(
    pipeline: GoTModel | ReferencePipeline,
    guidance: Guidance,
    settings: SamplingSettings,
    clock: Callable[[], float],
) -> dict[str, float]:
    """Draw a picture; how long each stage took."""
    begun = clock()
    latents = pipeline.sample_latents(guidance, settings)
    sampled = clock()
    pipeline.decode(latents)
    return {"sampling": sampled - begun, "decoding": clock() - sampled}


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
    """Medians as text: for each task and row its seconds, how many it makes a minute, and how much faster.

    The ratios to the published order are those of sampling alone, and of all.
    """
    headings = ("seconds", "a minute", "sampling", "all")
    lines = []
    for task, rows in seconds.items():
        lines.append(f"{TASKS[task]:18}" + "".join(f"{heading:>10}" for heading in headings))
        medians = {
            row: (median_of(times, STAGES[:1]), median_of(times, STAGES)) for row, times in rows.items()
        }
        for row, (sampling, both) in medians.items():
            name = "published order" if row == PUBLISHED else row
            ratios = medians[PUBLISHED][0] / sampling, medians[PUBLISHED][1] / both
            lines.append(
                f"{name:18}{both:10.3f}{60 / both:10.1f}" + "".join(f"{ratio:9.2f}x" for ratio in ratios)
            )
    return "\n".join(lines)


def median_of(times: Sequence[dict[str, float]], stages: Sequence[str]) -> float:
    """The median of the rounds' sums of these stages."""
    return statistics.median(sum(one[stage] for stage in stages) for one in times)
