"""Who is told of a training while it runs, and may stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .validation import Validation


@dataclass(frozen=True)
class Progress:
    """What a step has done: steps counted from 1, losses by name, the norm of the gradient."""

    step: int
    steps: int
    losses: dict[str, float]
    gradient_norm: float


class TrainingObserver:
    """Hears what a training does; this one does nothing with it.

    All in the main process alone, except `on_encode`, `on_step` and `should_stop`.
    """

    def on_check(self, done: int, total: int) -> None:
        """So many bytes of the checkpoint's weights are compared with those that the run began with.

        Not told where the result is known from before.
        """

    def on_begin(self) -> None:
        """The run's folder is its own, and all that was given can be used."""

    def on_preserve(self, done: int, total: int) -> None:
        """So many of the rows that the model preserves are drawn."""

    def on_encode(self, done: int, total: int) -> None:
        """So many rows are encoded."""

    def on_step(self, progress: Progress) -> None:
        """A step is done."""

    def on_validation(self, validation: Validation) -> None:
        """A validation is done, and its pictures lie in the run's folder."""

    def should_stop(self) -> bool:
        """Asked before every step, while validating, and while rows and weights are read.

        True saves and stops.
        """
        return False
