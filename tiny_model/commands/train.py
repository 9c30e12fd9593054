"""``train``: trains the bundled model from scratch."""

from __future__ import annotations

import argparse

from got_models.commands.options import Subparsers, add_out_option, positive_integer
from got_models.files.whole_files import check_writable

from ..pretraining.config import TrainingConfig


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("train", help="train the bundled model from scratch")
    add_out_option(parser)
    parser.add_argument("--resume", action="store_true", help="resume exactly where the run stopped")
    parser.add_argument(
        "--stop-after-steps", type=positive_integer, metavar="N", help="save and stop after N steps"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    check_writable(arguments.out)
    import torch

    from ..pretraining.trainer import train

    checkpoint = train(
        TrainingConfig(),
        arguments.out,
        resume=arguments.resume,
        side_by_side=torch.get_num_threads() > 1 and not torch.cuda.is_available(),
        stop_after_steps=arguments.stop_after_steps,
    )
    print(checkpoint or f"stopped; continue with --resume --out {arguments.out}")
