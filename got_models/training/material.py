"""What a training learns from, and what it prepares before its first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import nn

from ..errors import Interrupted
from ..pipeline import GoTModel
from ..weights.adapter import Adapter
from ..weights.fingerprints import Fingerprints
from .validation import Validator


class Batch(Protocol):
    """The input of one evaluation of the modules."""

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""


class Batches(Protocol):
    """An endless sequence of batches, each of which depends only on its number and the config."""

    def __getitem__(self, number: int) -> Batch: ...


class TrainedModules(nn.Module):
    """Modules with trained parameters, called with a batch and a seed: its losses by name."""

    def trained(self) -> list[nn.Parameter]:
        """All trained parameters."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for the optimizer, each with its learning rate."""
        raise NotImplementedError

    def adapter(self, information: dict[str, Any]) -> Adapter:
        """The adapter trained so far."""
        raise NotImplementedError


@dataclass(frozen=True)
class Prepared:
    """All that a run needs. `validator`: in the main process, if the training has validations."""

    modules: TrainedModules
    batches: Batches
    validator: Validator | None = None


class Material(Protocol):
    """What a training learns from, read and checked.

    Attributes:
        folder: where its cache lies if the config names none.
        digest: changes if anything that is learned from changes.
    """

    folder: Path
    digest: str

    def prepare(
        self, model: GoTModel, cache: Path, fingerprints: Fingerprints, accelerator: Accelerator
    ) -> Prepared:
        """Compute and cache what the frozen parts make of it; then build what is trained.

        Raises:
            Interrupted: the observer asked to stop.
        """


def stop_if(should_stop: Callable[[], bool]) -> None:
    """Raises Interrupted if a training is to stop before its first step."""
    if should_stop():
        raise Interrupted("The training was interrupted before its first step.")
