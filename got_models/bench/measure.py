"""Generating the same pictures with the reference pipeline and with this library, in alternation."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image
from torch import Tensor

from ..chain.chain import ReasoningChain
from ..diffusion.settings import SamplingSettings
from ..mllm.reasoner import Reasoner
from ..mllm.settings import GenerationSettings
from ..pipeline import GoTModel
from ..weights.parts import ResidentParts
from .reference_pipeline import ReferencePipeline

PUBLISHED, LIBRARY = "published", "library"
QUARTERS = ((40, 40, 420, 420), (520, 40, 900, 420), (40, 520, 420, 900), (520, 520, 900, 900))
"""One box in each, so four per chain: about as many as GoT-6B writes."""
STEP_ASIDE = 30  # thousandths of the width, left free on the right of every chain
KNOWN_COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "pink")
KNOWN_SHAPES = ("circle", "square", "triangle", "star")
POLL_SECONDS = 0.005

Stage = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Work:
    """The work of one round, the same for both sides; `size` is (H, W) in pixels."""

    chain: ReasoningChain
    seed: int
    steps: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Comparison:
    """One figure of every round, on both sides: seconds, or bytes."""

    published: tuple[float, ...]
    library: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """By what factor the library is better, from the medians."""
        return statistics.median(self.published) / statistics.median(self.library)


@dataclass(frozen=True)
class Report:
    """
    Attributes:
        seconds: "prefill", "writing, a token", "first encoding", "encoding after a move", "sampling, a step"
            and "decoding".
        memory: stage -> peak memory in bytes.
        moving: seconds spent moving the library's parts between GPU and CPU, for one picture.
        decibels: peak signal-to-noise ratio between the two sides' pictures, for each seed; infinite when
            they are equal.
    """

    seconds: dict[str, Comparison]
    memory: dict[str, Comparison]
    moving: float
    decibels: tuple[float, ...]


def compare(
    model: GoTModel, rounds: int, steps: int, size: tuple[int, int], *, processor_time: bool = False
) -> Report:
    """One round that measures memory and also warms up; then `rounds` that measure time.

    Every round uses another chain, first with the reference pipeline, then with the library, whose caches are
    empty at the start of each round. Weights are shared; during timing all of them stay on the device.

    Args:
        processor_time: measure the process's CPU time, which other programs do not affect.
    """
    works = [Work(chain, seed, steps, size) for seed, chain in enumerate(islice(chains(), rounds + 1))]
    clock = make_clock(model.parts.unet().device, processor_time)
    seconds: dict[str, list[dict[str, float]]] = {PUBLISHED: [], LIBRARY: []}
    peaks: dict[str, dict[str, float]] = {}
    decibels = []
    moving = 0.0
    for number, work in enumerate(works):
        pictures = []
        for side in (PUBLISHED, LIBRARY):
            session = ReferencePipeline(model) if side == PUBLISHED else fresh_session(model)
            if number == 0:
                memory = MemoryMeter(model, clock, unload=side == LIBRARY)
                pictures.append(walk(session, work, memory.stage))
                memory.reload()
                peaks[side], moving = memory.peaks, memory.moving
            else:
                stopwatch = Stopwatch(clock)
                pictures.append(walk(session, work, stopwatch.stage, stopwatch.token))
                seconds[side].append(stopwatch.seconds(steps))
        decibels.append(signal_to_noise(*pictures))
    return Report(
        {
            name: Comparison(
                *(tuple(times[name] for times in seconds[side]) for side in (PUBLISHED, LIBRARY))
            )
            for name in seconds[LIBRARY][0]
        },
        {name: Comparison((peak,), (peaks[LIBRARY][name],)) for name, peak in peaks[PUBLISHED].items()},
        moving,
        tuple(decibels),
    )


def walk(
    model: GoTModel | ReferencePipeline, work: Work, stage: Stage, on_token: Callable[[], None] | None = None
) -> Image.Image:
    """Prompt -> chain -> guidance -> guidance of the chain with its first box moved -> picture of that.

    Moving the first box is the worst case for the prefix cache: all text after it has to be read again.
    """
    reasoner = model.parts.reasoner()
    ids = reasoner.tokenizer(work.chain.mllm_text, add_special_tokens=False)["input_ids"]
    ids = [*ids, reasoner.token_ids.image_start]
    with stage("reasoning"), forced_tokens(reasoner.mllm, ids, on_token):
        chain = model.reason(work.chain.prompt, settings=GenerationSettings(max_new_tokens=len(ids)))
    with stage("first encoding"):
        model.encode(chain, size=work.size)
    box = chain.regions[0].box
    moved = chain.move_box(0, replace(box, x1=box.x1 + STEP_ASIDE, x2=box.x2 + STEP_ASIDE))
    with stage("encoding after a move"):
        guidance = model.encode(moved, size=work.size)
    with stage("sampling"):
        latents = model.sample_latents(
            guidance, SamplingSettings(seed=work.seed, steps=work.steps, scheduler="ddpm")
        )
    with stage("decoding"):
        return model.decode(latents)


def chains() -> Iterator[ReasoningChain]:
    """Text-to-image chains with a box in every quarter, in words that the bundled model knows."""
    rng = random.Random(0)
    while True:
        things = [f"a {rng.choice(KNOWN_COLORS)} {rng.choice(KNOWN_SHAPES)}" for _ in QUARTERS]
        boxes = [tuple(side + rng.randint(0, STEP_ASIDE) for side in quarter) for quarter in QUARTERS]
        placed = [
            f"{thing} ({x1},{y1}),({x2},{y2})" for thing, (x1, y1, x2, y2) in zip(things, boxes, strict=True)
        ]
        prompt, text = (f"{', '.join(listed[:-1])} and {listed[-1]}" for listed in (things, placed))
        yield ReasoningChain.parse(f"Here are {text}.", "generate", prompt)


@contextmanager
def forced_tokens(
    mllm: Any, ids: Sequence[int], on_token: Callable[[], None] | None = None
) -> Iterator[None]:
    """Make the MLLM write `ids`: every pass is computed in full, only its choice is replaced.

    `on_token` is called at the end of every pass.
    """
    remaining = iter(ids)

    def replace_logits(module: Any, inputs: Any, logits: Tensor) -> Tensor:
        chosen = torch.full_like(logits, torch.finfo(logits.dtype).min)
        chosen[..., next(remaining)] = 0.0
        if on_token is not None:
            on_token()
        return chosen

    hook = mllm.lm_head.register_forward_hook(replace_logits)
    try:
        yield
    finally:
        hook.remove()


def fresh_session(model: GoTModel) -> GoTModel:
    """The same weights in a model with empty caches."""
    used, unet = model.parts.reasoner(), model.parts.unet()
    parts = {
        "reasoner": Reasoner(
            used.mllm, used.tokenizer, used.image_processor, used.vision_size, used.max_new_tokens
        ),
        "ssgm": model.parts.ssgm(),
        "unet": unet,
        "vae": model.parts.vae(),
    }
    session = GoTModel(
        model.path, model.settings, ResidentParts(parts.__getitem__, unet.device, model.parts.dtype)
    )
    session.scheduler_config = model.scheduler_config
    return session


def make_clock(device: torch.device, processor_time: bool) -> Callable[[], float]:
    """A clock in seconds that first waits for the device to finish."""
    read = time.process_time if processor_time else time.perf_counter

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return read()

    return clock


class Stopwatch:
    """Measures the duration of stages and tokens."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.stages: dict[str, float] = {}
        self.begin = clock()
        self.tokens: list[float] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.begin = self.clock()
        yield
        self.stages[name] = self.clock() - self.begin

    def token(self) -> None:
        """Called when a token is about to be chosen."""
        if not self.tokens:
            self.stages["prefill"] = self.clock() - self.begin
        self.tokens.append(self.clock())

    def seconds(self, steps: int) -> dict[str, float]:
        """As in `Report.seconds`."""
        return {
            "prefill": self.stages["prefill"],
            "writing, a token": (self.tokens[-1] - self.tokens[0]) / (len(self.tokens) - 1),
            "first encoding": self.stages["first encoding"],
            "encoding after a move": self.stages["encoding after a move"],
            "sampling, a step": self.stages["sampling"] / steps,
            "decoding": self.stages["decoding"],
        }


class MemoryMeter:
    """Peak memory of each stage: on a GPU what PyTorch has allocated, otherwise the process's memory.

    Args:
        unload: keep only those parts on a GPU that a stage uses, as ComfyUI can.
    """

    def __init__(self, model: GoTModel, clock: Callable[[], float], *, unload: bool) -> None:
        self.device = model.parts.unet().device
        self.clock = clock
        self.unload = unload and self.device.type == "cuda"
        self.parts = {
            "mllm": model.parts.reasoner().mllm,
            "ssgm": model.parts.ssgm(),
            "unet": model.parts.unet(),
            "vae": model.parts.vae(),
        }
        self.peaks: dict[str, float] = {}
        self.moving = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        if self.unload:
            used = {"reasoning": ("mllm",), "sampling": ("unet",), "decoding": ("vae",)}
            self._place(used.get(name, ("mllm", "ssgm", "vae")))
        watch = self._gpu_peak if self.device.type == "cuda" else self._process_peak
        with watch(name):
            yield

    def reload(self) -> None:
        """Move all parts back to the device."""
        if self.unload:
            self._place(tuple(self.parts))

    def _place(self, names: Sequence[str]) -> None:
        begin = self.clock()
        for name in sorted(self.parts, key=lambda name: name in names):  # free memory first
            self.parts[name].to(self.device if name in names else "cpu")
        self.moving += self.clock() - begin

    @contextmanager
    def _gpu_peak(self, name: str) -> Iterator[None]:
        torch.cuda.reset_peak_memory_stats(self.device)
        yield
        self.peaks[name] = torch.cuda.max_memory_allocated(self.device)

    @contextmanager
    def _process_peak(self, name: str) -> Iterator[None]:
        process = psutil.Process()
        finished = threading.Event()
        seen = [process.memory_info().rss]

        def poll() -> None:
            while not finished.wait(POLL_SECONDS):
                seen.append(process.memory_info().rss)

        thread = threading.Thread(target=poll)
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()
        self.peaks[name] = max(seen)


def signal_to_noise(first: Image.Image, second: Image.Image) -> float:
    """The peak signal-to-noise ratio of two pictures of one size in dB; infinite when they are equal."""
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    error = float((difference**2).mean())
    return float("inf") if error == 0.0 else float(10.0 * np.log10(255.0**2 / error))
