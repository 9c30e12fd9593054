"""The contents of a LoRA training's folder; a full disk."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from got_models.training.config import LoraTraining
from got_models.training.observer import TrainingObserver
from got_models.training.run_files import ADAPTER_FILE


def tensors(config: LoraTraining) -> dict[str, torch.Tensor]:
    return load_file(Path(config.out) / ADAPTER_FILE)


def logged(config: LoraTraining) -> list[dict[str, Any]]:
    lines = (Path(config.out) / "losses.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def saved(config: LoraTraining) -> list[str]:
    return sorted(folder.name for folder in Path(config.out).glob("state-*"))


def assert_same_tensors(received: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert received.keys() == expected.keys()
    assert [name for name, tensor in expected.items() if not torch.equal(received[name], tensor)] == []


def observing(**callbacks: Callable[..., Any]) -> TrainingObserver:
    """An observer with these functions as its methods."""
    observer = TrainingObserver()
    vars(observer).update(callbacks)
    return observer


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 100 kB: simulates a full disk for this process alone."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
