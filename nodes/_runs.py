"""Training runs: their folders in ComfyUI's output folder, adapters, and curves for the page."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..got_models.errors import GoTError, short_repr
from ..got_models.files.linked_files import files_below
from ..got_models.training.run_files import (
    ADAPTER_FILE,
    BEST_FILE,
    LOG_FILE,
    MAX_RUN_FILE,
    RUN_FILE,
    SAMPLES_FOLDER,
)
from ._comfy.feedback import send
from ._comfy.folders import (
    MODEL_FOLDER,
    NAMING,
    is_folder_name,
    lora_folders,
    offered,
    output_folder,
    subfolders,
)

if TYPE_CHECKING:
    from aiohttp.web import Request, Response

RUNS = "got_training"
"""The runs' folder, in the output folder."""
CACHE = ".cache"
"""The folder of cached latents and vision features, next to the runs: no run's name starts with a dot."""
ADAPTERS = (ADAPTER_FILE, BEST_FILE)
CURVES = ("chain", "diffusion", "layout_iou")
EVENT = "got_training"
MAX_POINTS = 300
MAX_LOG, PIECES = 10_000_000, 250
"""The largest log in bytes that is read whole, over 100,000 steps; and the pieces of a larger one."""
MAX_STEPS = 10**9
MAX_VALUE = 1e30
PAUSE = 0.5
"""Minimum seconds between two messages to the page."""

Points = list[tuple[int, float]]


# Folders and files


def run_folder(name: str) -> Path:
    """The folder of the run with this name.

    Raises:
        GoTError: the name is not valid for a folder.
    """
    if not is_folder_name(name):
        raise GoTError(f"{short_repr(name)} cannot be the name of a training. {NAMING}")
    return output_folder() / RUNS / name


def cache_folder() -> Path:
    """The cache that all runs share for what is computed once per picture."""
    return output_folder() / RUNS / CACHE


def newest_samples(folder: Path) -> Path | None:
    """The latest picture of a run's validations."""
    return max(
        (file for file in (folder / SAMPLES_FOLDER).glob("step-*.png") if os.path.isfile(file)), default=None
    )


def adapter_names() -> list[str]:
    """The adapters of trainings here, then the files in the folder `got` of ComfyUI's folders for LoRA."""
    return offered(_adapters())


def adapter_file(name: str) -> Path:
    """An adapter's file by a name from `adapter_names`.

    Raises:
        GoTError: there is no such name.
    """
    adapters = _adapters()
    if name not in adapters:
        raise GoTError(
            f"There is no GoT adapter {short_repr(name)}. Train one with GoT Train, or put its file into "
            f"{' or '.join(str(folder / MODEL_FOLDER) for folder in lora_folders())}; then refresh the page."
        )
    return adapters[name]


def adapter_times(name: str) -> str:
    """When the adapters of the run with this name were written."""
    files = [run_folder(name) / file for file in ADAPTERS]
    return " ".join(str(file.stat().st_mtime_ns) for file in files if file.is_file())


def _adapters() -> dict[str, Path]:
    files = [folder / kind for folder in subfolders(output_folder() / RUNS) for kind in ADAPTERS]
    found = {f"{RUNS}/{file.parent.name}/{file.name}": file for file in files if os.path.isfile(file)}
    for folder in lora_folders():
        for file in files_below(folder / MODEL_FOLDER):
            if file.suffix.lower() == ".safetensors":
                found.setdefault(file.relative_to(folder).as_posix(), file)
    return found


# The page's view of a run


class Report:
    """A run's progress so far, as the page draws it.

    Args:
        steps: of the whole run.
        tell: receives `as_message`, at most every PAUSE seconds while training.
    """

    def __init__(
        self, name: str, steps: int, tell: Callable[[dict[str, Any]], None] = lambda message: None
    ) -> None:
        self.folder = run_folder(name)
        self.steps = steps
        self.state = "stopped"
        self.done = 0
        self._tell = tell
        self._curves: dict[str, Points] = {name: [] for name in CURVES}
        self._told = 0.0
        self._started: tuple[int, float] | None = None
        self._read()

    def checking(self, done: int, total: int) -> None:
        """Bytes of the checkpoint compared with what the run started with."""
        self.state = f"checking {done / 1e9:.1f} of {total / 1e9:.1f} GB of the checkpoint"
        self.tell(now=done == total)

    def preserving(self, done: int, total: int) -> None:
        """Pictures for prior preservation drawn so far."""
        self.state = f"drawing {done} of {total} pictures of what it knows"
        self.tell(now=True)

    def encoding(self, done: int, total: int) -> None:
        """Pictures encoded so far."""
        self.state = f"encoding {done} of {total} pictures"
        self.tell(now=done == total)

    def step(self, step: int, losses: dict[str, float]) -> None:
        """Steps are counted from 1."""
        if self._started is None:
            self._started = step, time.monotonic()
        self.state, self.done = "training", step
        self._add(step, losses)
        self.tell(now=False)

    def validation(self, step: int, layout_iou: float) -> None:
        """Its picture is among the run's samples."""
        self._add(step, {"layout_iou": layout_iou})
        self.tell(now=True)

    def end(self, state: str) -> None:
        """The run is "done" or "stopped"."""
        self.state = state
        self.tell(now=True)

    def tell(self, now: bool) -> None:
        """Send the current report, unless the last message was very recent."""
        if now or time.monotonic() - self._told >= PAUSE:
            self._told = time.monotonic()
            self._tell(self.as_message())

    def as_message(self) -> dict[str, Any]:
        """The complete report, so that a page that was just opened needs no earlier message."""
        samples = newest_samples(self.folder)
        return {
            "run": self.folder.name,
            "state": self.state,
            "step": self.done,
            "steps": self.steps,
            "seconds_per_step": self._seconds_per_step(),
            "curves": {name: thinned(points) for name, points in self._curves.items()},
            "samples": samples.name if samples else None,
        }

    def _seconds_per_step(self) -> float | None:
        if self._started is None or self._started[0] == self.done:
            return None
        step, began = self._started
        return (time.monotonic() - began) / (self.done - step)

    def _add(self, step: int, values: dict[str, float]) -> None:
        for name in CURVES:
            if name in values and is_number(values[name]):
                points = self._curves[name]
                while points and points[-1][0] >= step:  # from before the run was killed and resumed
                    points.pop()
                points.append((step, float(values[name])))

    def _read(self) -> None:
        """Load the existing contents of the run's folder."""
        for entry in log_entries(self.folder / LOG_FILE):
            # A validation's line counts the steps before it, a step's line is about the next one.
            done = entry["step"] + ("layout_iou" not in entry)
            if 0 <= done <= self.steps:
                self._add(done, entry)
                self.done = done


def log_entries(file: Path) -> Iterator[dict[str, Any]]:
    """The entries of a run's log: "step", and numbers by the names of CURVES.

    Damaged lines are skipped. Of a log that is much longer than any training writes, evenly spaced pieces
    are read, which suffice for a curve.
    """
    for line in log_lines(file):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # such as the truncated last line of a killed run
            continue
        if isinstance(entry, dict) and type(entry.get("step")) is int:
            losses = {name: entry[name] for name in CURVES if is_number(entry.get(name))}
            yield {"step": entry["step"], **losses}


def is_number(value: object) -> bool:
    """Whether a value can be plotted: not NaN, for instance."""
    return type(value) in (int, float) and abs(value) < MAX_VALUE  # type: ignore[arg-type]


def log_lines(file: Path) -> Iterator[bytes]:
    """The lines of a log of up to MAX_LOG bytes; of a longer one the complete lines in PIECES pieces."""
    try:
        if not file.is_file():
            return
        with file.open("rb") as log:
            size = os.fstat(log.fileno()).st_size
            if size <= MAX_LOG:
                yield from log.read(MAX_LOG).splitlines()
                return
            length = MAX_LOG // PIECES
            for piece in range(PIECES):
                log.seek((size - length) * piece // (PIECES - 1))
                lines = log.read(length).splitlines()
                yield from lines[1 if piece else 0 : None if piece == PIECES - 1 else -1]
    except OSError:
        return


def thinned(points: Points) -> list[list[float]]:
    """At most MAX_POINTS points: each the mean of equally many neighbours, at the last one's step."""
    size = -(-len(points) // MAX_POINTS) or 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [[group[-1][0], sum(value for _, value in group) / len(group)] for group in groups]


def reporter(name: str, steps: int, node_id: str | None) -> Report:
    """A report that the node shows on the page that queued it."""
    return Report(name, steps, lambda message: send(EVENT, {"node": node_id, **message}))


async def answer_page(request: Request) -> Response:
    """The report of a run from its files, for a page opened later: {} if there is no such run."""
    from aiohttp import web

    # In a thread, so that the server can answer other requests during disk access.
    return web.json_response(await asyncio.to_thread(report_of_files, request.match_info["name"]))


def report_of_files(name: str) -> dict[str, Any]:
    """The report of a run that is not in progress; {} if there is no such run, or it cannot be read."""
    from ..got_models.files.text_files import read_text

    try:
        folder = run_folder(name)
        steps = json.loads(read_text(folder / RUN_FILE, MAX_RUN_FILE))["config"]["steps"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    if type(steps) is not int or not 0 < steps <= MAX_STEPS:
        return {}
    report = Report(folder.name, steps)
    report.state = "done" if report.done == steps else "stopped"
    return report.as_message()
