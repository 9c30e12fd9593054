"""``train``: a checkpoint from nothing."""

from __future__ import annotations

import argparse

from ..training.config import PRESETS
from .options import Subparsers, add_out_option, positive_integer
from .outputs import check_writable


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("train", help="train a checkpoint from nothing")
    parser.add_argument("--preset", choices=PRESETS, default="shapes", help="what to train (default: shapes)")
    add_out_option(parser)
    parser.add_argument("--resume", action="store_true", help="go on exactly where the run in --out stopped")
    parser.add_argument(
        "--stop-after-steps", type=positive_integer, metavar="N", help="save and stop after N steps"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    check_writable(arguments.out)
    from ..training.trainer import train

    checkpoint = train(
        PRESETS[arguments.preset],
        arguments.out,
        resume=arguments.resume,
        stop_after_steps=arguments.stop_after_steps,
    )
    print(checkpoint or f"stopped; continue with --resume --out {arguments.out}")
