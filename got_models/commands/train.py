"""``train``: an adapter from the user's pictures."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ..errors import GoTError
from ..files.whole_files import check_writable
from ..training.observer import Progress, TrainingObserver
from ..training.run_files import RUN_FILE, strip_file
from .options import Subparsers, positive_integer

if TYPE_CHECKING:
    from ..training.validation import Validation

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}, ETA {remaining}{postfix}]"


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("train", help="train an adapter on your own pictures")
    parser.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="YAML of the training")
    for moved in ("--preset", "--out"):
        parser.add_argument(moved, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help="resume exactly where the run stopped")
    parser.add_argument(
        "--changed-dataset", action="store_true", help="resume although the pictures have changed"
    )
    parser.add_argument(
        "--stop-after-steps", type=positive_integer, metavar="N", help="save and stop after N steps"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Ctrl-C saves and stops after the step; pressed again it stops at once, keeping the last saved state."""
    if arguments.config is None:
        raise GoTError(
            "Give the CONFIG of a training. The bundled model is made by `python -m tiny_model train`, in a "
            "clone of the repository."
        )
    from ..training.config import read_config

    config = read_config(arguments.config)
    check_writable(Path(config.out))
    from ..training.trainer import train_lora

    terminal = Terminal(Path(config.out))
    before = signal.signal(signal.SIGINT, terminal.interrupt)
    try:
        adapter = train_lora(
            config,
            resume=arguments.resume,
            changed_dataset=arguments.changed_dataset,
            stop_after_steps=arguments.stop_after_steps,
            observer=terminal,
        )
    finally:
        signal.signal(signal.SIGINT, before)
        terminal.close()
    resume = " --resume" if (Path(config.out) / RUN_FILE).exists() else ""  # or it had not started
    print(adapter or f"stopped; continue with train {arguments.config}{resume}")


class Terminal(TrainingObserver):
    """A progress bar for each kind of work, and a line for each validation."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.bars: dict[str, tqdm] = {}
        self.interrupted = False

    def interrupt(self, *_: Any) -> None:
        """Handle the first Ctrl-C; the second one reaches Python's own handler."""
        self.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nsaving; Ctrl-C again stops at once", file=sys.stderr)

    def should_stop(self) -> bool:
        return self.interrupted

    def on_check(self, done: int, total: int) -> None:
        self._show("checking the checkpoint", done, total)

    def on_preserve(self, done: int, total: int) -> None:
        self._show("drawing what it knows", done, total)

    def on_encode(self, done: int, total: int) -> None:
        self._show("encoding", done, total)

    def on_teach(self, done: int, total: int) -> None:
        self._show("drawing what to learn", done, total)

    def on_step(self, progress: Progress) -> None:
        self._show("training", progress.step, progress.steps, progress.losses)

    def on_validation(self, validation: Validation) -> None:
        strip = strip_file(self.out, validation.step)
        said = f"step {validation.step}: layout IoU {validation.layout_iou:.3f}, pictures in {strip}"
        tqdm.write(said, file=sys.stderr)

    def close(self) -> None:
        """Close the bars, leaving them on screen."""
        for bar in self.bars.values():
            bar.close()

    def _show(
        self, work: str, done: int, total: int, losses: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        if work not in self.bars:
            self.bars[work] = tqdm(desc=work, total=total, initial=done - 1, mininterval=1, bar_format=BAR)
        bar = self.bars[work]
        bar.set_postfix({name: f"{loss:.4f}" for name, loss in losses.items()}, refresh=False)
        bar.update(done - bar.n)
