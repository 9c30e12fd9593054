"""The folder of a training run: one process at a time, its saved states, and its log of losses.

run.json                 the config, and fingerprints of the dataset and of the checkpoint
state-<stage>-<step>/    everything needed to resume from that step; complete once it has this name
losses.jsonl             one line per step, and one per validation, before the step that follows it
adapter.safetensors      the result; until the end, that of the last state
unet_lora.safetensors    its UNet part for ComfyUI's own LoRA loader
best.safetensors         the adapter whose plans were the best at a validation
samples/step-<step>.png  what was planned and drawn at a validation
preserved/               rows that the model planned and drew before it was trained, a dataset
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from ..files.exclusive_lock import exclusive_lock
from ..files.whole_files import unwritable, whole_file, writing

LOCK_FILE = ".got-training.lock"
TRACK_LOCKS = ".got-training-*.lock"
TRACK_SECONDS = 60.0
"""How long a run waits for processes of a killed run to end: they notice when they next run Python."""


@contextmanager
def lock_run(out: Path) -> Iterator[None]:
    """Lock a run's folder, created if missing, for this process; removes unfinished states.

    Waits for processes of a killed run that have not ended yet (see `lock_track`).

    Raises:
        GoTError: another process trains there, or the folder cannot be written to.
    """
    with ExitStack() as stack:
        try:
            out.mkdir(parents=True, exist_ok=True)
            stack.callback(_remove_if_empty, out)
            stack.enter_context(exclusive_lock(f"training in {out}", out / LOCK_FILE))
            for track in out.glob(TRACK_LOCKS):
                with exclusive_lock(f"training in {out}", track, TRACK_SECONDS):
                    pass
        except OSError as error:
            raise unwritable(out, error) from error
        for folder in out.glob("state-*.part"):
            shutil.rmtree(folder, ignore_errors=True)
        yield


@contextmanager
def lock_track(out: Path, number: int) -> Iterator[None]:
    """Lock a run's folder also for a process that trains on behalf of the one that called `lock_run`.

    It may outlive the other for a moment, and the next run waits for it.

    Raises:
        GoTError: a process trains this track.
    """
    with exclusive_lock(f"training in {out}", out / TRACK_LOCKS.replace("*", str(number))):
        yield


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def states(out: Path, stage: str) -> list[Path]:
    """The complete saved states of a stage, oldest first."""
    found = [folder for folder in out.glob(f"state-{stage}-*") if folder.name.rsplit("-", 1)[1].isdecimal()]
    return sorted(found, key=lambda folder: int(folder.name.rsplit("-", 1)[1]))


def last_state(out: Path, stage: str) -> Path | None:
    """The newest complete state of a stage, or None."""
    found = states(out, stage)
    return found[-1] if found else None


def record(file: Path, values: dict[str, Any]) -> None:
    """Append one line to the loss log.

    Raises:
        GoTError: the disk is full or cannot be written to.
    """
    with writing(file), file.open("a", encoding="utf-8") as log:
        log.write(json.dumps(values) + "\n")


def trim_log(file: Path, stage: str, start: int) -> None:
    """Remove the lines of steps that a resumed stage repeats, so that the log has no step twice."""
    if not file.exists():
        return
    with whole_file(file) as temporary, file.open("rb") as old, temporary.open("wb") as new:
        new.writelines(line.rstrip() + b"\n" for line in old if _is_before(line, stage, start))


def _is_before(line: bytes, stage: str, start: int) -> bool:
    """Whether a line of the log is complete, and not about a step of the stage from ``start`` on."""
    try:
        values = json.loads(line)
        return bool(values["stage"] != stage or values["step"] < start)
    except (ValueError, TypeError, KeyError, RecursionError):  # truncated by a killed run
        return False
