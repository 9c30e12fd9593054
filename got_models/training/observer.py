"""The observer of a training: notified while it runs, and able to stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .validation import Validation


@dataclass(frozen=True)
class Progress:
    """The result of a step: steps counted from 1, losses by name, the norm of the gradient."""

    step: int
    steps: int
    losses: dict[str, float]
    gradient_norm: float


class TrainingObserver:
    """Receives a training's events; this base class ignores them.

    All are called in the main process only, except `on_encode`, `on_step` and `should_stop`.
    """

    def on_check(self, done: int, total: int) -> None:
        """Bytes of the checkpoint's weights compared with those that the run started with.

        Not called if the result is already known.
        """

    def on_begin(self) -> None:
        """The run's folder is locked, and all input is valid."""

    def on_preserve(self, done: int, total: int) -> None:
        """Rows for prior preservation drawn so far."""

    def on_encode(self, done: int, total: int) -> None:
        """Rows encoded so far."""

    def on_teach(self, done: int, total: int) -> None:
        """Batches that a distillation's teacher has drawn so far."""

    def on_step(self, progress: Progress) -> None:
        """A step is finished."""

    def on_validation(self, validation: Validation) -> None:
        """A validation is finished, and its pictures are in the run's folder."""

    def should_stop(self) -> bool:
        """Called before every step, while validating, and while rows and weights are read.

        True saves and stops.
        """
        return False
