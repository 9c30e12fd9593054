"""``distill``: teaches a checkpoint of the shapes world to draw in four steps of one branch."""

from __future__ import annotations

import argparse
from pathlib import Path

from got_models.commands.options import Subparsers, add_out_option, positive_integer
from got_models.constants import BUNDLED_CHECKPOINT
from got_models.files.whole_files import check_writable


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser(
        "distill", help="write fastest.safetensors into a checkpoint: four steps of one branch"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=BUNDLED_CHECKPOINT,
        metavar="DIR",
        help="default: the bundled checkpoint",
    )
    add_out_option(parser)
    parser.add_argument("--resume", action="store_true", help="resume exactly where the run stopped")
    parser.add_argument(
        "--stop-after-steps", type=positive_integer, metavar="N", help="save and stop after N steps"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    check_writable(arguments.out)
    check_writable(arguments.checkpoint)
    from got_models.commands.train import Terminal

    from ..distillation import distill

    terminal = Terminal(arguments.out)
    try:
        adapter = distill(
            arguments.checkpoint,
            arguments.out,
            resume=arguments.resume,
            stop_after_steps=arguments.stop_after_steps,
            observer=terminal,
        )
    finally:
        terminal.close()
    print(adapter or f"stopped; continue with --resume --out {arguments.out}")
