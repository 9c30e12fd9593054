"""What must not change for a run to be resumed, stored in its run.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import GoTError
from ..files.text_files import read_text
from ..files.whole_files import write_whole
from ..pipeline import GoTModel
from ..weights.fingerprints import Fingerprints
from .config import LoraTraining, as_dictionary, differences, make_config
from .run_files import ADAPTER_FILE, MAX_RUN_FILE, RUN_FILE, STAGE, strip_file

BASE = "int8"
"""The format in which `fp8_base` stores frozen weights, noted in run.json; originally fp8, without a note."""


def is_finished(config: LoraTraining, out: Path) -> bool:
    """Whether the run has been trained to its end, including its last validation."""
    state = out / f"state-{STAGE}-{config.steps}"
    validated = not config.validate_every_steps or strip_file(out, config.steps).exists()
    return state.exists() and validated and (out / ADAPTER_FILE).exists()


def check_folder(out: Path, resume: bool) -> None:
    begun = (out / RUN_FILE).exists()
    if begun and not resume:
        raise GoTError(f"{out} already holds a training run: resume it, or choose another folder.")
    if resume and not begun:
        raise GoTError(f"{out} holds no training run to resume; start one there without resuming.")


def describe(
    config: LoraTraining, digest: str, fingerprints: Fingerprints, on_check: Callable[[int, int], None]
) -> dict[str, Any]:
    """What must not change for a run to be resumed.

    Args:
        digest: of the dataset, or of the prompts.
    """
    checkpoint = Path(config.checkpoint)
    GoTModel.from_pretrained(checkpoint)  # reports what is wrong with the folder
    parts = fingerprints.checkpoint(checkpoint, on_check)
    base = {"base": BASE} if config.fp8_base else {}
    return {"config": as_dictionary(config), "dataset": digest, "checkpoint": parts, **base}


def start_or_resume(out: Path, description: dict[str, Any], changed_dataset: bool, finished: bool) -> None:
    """Write run.json, or compare it with the existing one.

    Args:
        finished: the run has nothing left to train.

    Raises:
        GoTError: run.json is damaged, or the config, the checkpoint, the dataset or the format of frozen
            weights differs from when the run started.
    """
    file = out / RUN_FILE
    if file.exists():
        try:
            before = json.loads(read_text(file, MAX_RUN_FILE))
            begun = as_dictionary(make_config(before["config"]))  # with defaults for keys added since
            before["checkpoint"], before["dataset"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise GoTError(
                f"{file} is damaged, so the run cannot be resumed: {error} Start another run."
            ) from error
        changed = differences(begun, description["config"])
        if changed:
            raise GoTError(
                f"The config has changed since the run in {out} began: {'; '.join(changed)}. Change it back, "
                "or start another run."
            )
        if before["checkpoint"] != description["checkpoint"]:
            raise GoTError(f"The checkpoint's weights have changed since the run in {out} began.")
        if before.get("base") != description.get("base") and not finished:
            raise GoTError(
                f"The run in {out} began with frozen weights in fp8. fp8_base now rounds them to int8, which "
                "is closer to what they were, but another training. Start another run."
            )
        if before["dataset"] == description["dataset"]:
            return
        if not changed_dataset:
            raise GoTError(
                f"The dataset has changed since the run in {out} began: resumed, it will not be the run that "
                "it was. Change it back, or resume with it as it is now: --changed-dataset, or in ComfyUI "
                "'go on with changed pictures'."
            )
    write_whole(file, (json.dumps(description, indent=2) + "\n").encode())
