"""``train``: an adapter from one's own pictures."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..errors import GoTError
from ..whole_files import check_writable
from .options import Subparsers, positive_integer

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}, ETA {remaining}{postfix}]"


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("train", help="train an adapter on your own pictures")
    parser.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="YAML of the training")
    for moved in ("--preset", "--out"):
        parser.add_argument(moved, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help="go on exactly where the run stopped")
    parser.add_argument(
        "--changed-dataset", action="store_true", help="resume although the pictures have changed"
    )
    parser.add_argument(
        "--stop-after-steps", type=positive_integer, metavar="N", help="save and stop after N steps"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Ctrl-C saves and stops after the step; pressed again it stops at once, at the last saved state."""
    if arguments.config is None:
        raise GoTError(
            "Give the CONFIG of a training. The bundled model is made by `python -m tiny_model train`, in a "
            "clone of the repository."
        )
    from ..training.config import read_config

    config = read_config(arguments.config)
    check_writable(Path(config.out))
    from ..training.trainer import RUN_FILE, Validation, strip_file, train_lora

    interrupted = False

    def interrupt(*_: Any) -> None:
        nonlocal interrupted
        interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nsaving; Ctrl-C again stops at once", file=sys.stderr)

    bars: dict[str, tqdm] = {}

    def show(work: str, done: int, total: int, losses: dict[str, float]) -> None:
        if work not in bars:
            bars[work] = tqdm(desc=work, total=total, initial=done - 1, mininterval=1, bar_format=BAR)
        bars[work].set_postfix({name: f"{loss:.4f}" for name, loss in losses.items()}, refresh=False)
        bars[work].update(done - bars[work].n)

    def tell(validation: Validation) -> None:
        strip = strip_file(Path(config.out), validation.step)
        said = f"step {validation.step}: layout IoU {validation.layout_iou:.3f}, pictures in {strip}"
        tqdm.write(said, file=sys.stderr)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        adapter = train_lora(
            config,
            resume=arguments.resume,
            changed_dataset=arguments.changed_dataset,
            stop_after_steps=arguments.stop_after_steps,
            on_check=lambda done, total: show("checking the checkpoint", done, total, {}),
            on_preserve=lambda done, total: show("drawing what it knows", done, total, {}),
            on_encode=lambda done, total: show("encoding", done, total, {}),
            on_step=lambda progress: show("training", progress.step, progress.steps, progress.losses),
            on_validation=tell,
            should_stop=lambda: interrupted,
        )
    finally:
        signal.signal(signal.SIGINT, before)
        for bar in bars.values():
            bar.close()
    resume = " --resume" if (Path(config.out) / RUN_FILE).exists() else ""  # or it had not begun
    print(adapter or f"stopped; continue with train {arguments.config}{resume}")
